"""The grammar of HTTP as patterns, each under the lines of the RFC that it stands for, and how WSGI names headers.

Everything here matches the native strings of WSGI, one character a byte (PEP 3333). Patterns are used with
``fullmatch`` unless their name says ``IN``; none can backtrack more than once a character.
"""

from __future__ import annotations

import re
from typing import Final

# RFC 9110 §5.6.2
#   token = 1*tchar
#   tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TOKEN: Final = re.compile(_TOKEN)

# RFC 9110 §5.6.4
#   quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
_QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'

# RFC 9110 §8.3.1
#   media-type = type "/" subtype parameters
#   parameters = *( OWS ";" OWS [ parameter ] )
# One parameter a match, so that the caller walks them and sees each.
MEDIA_TYPE: Final = re.compile(rf"({_TOKEN})/({_TOKEN})")
PARAMETER: Final = re.compile(rf"[ \t]*;[ \t]*(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?")

# RFC 9110 §5.5: a field value has no CR, LF or NUL; other controls are obsolete and hide text from readers.
# HTAB is allowed, and so is obs-text (%x80-FF).
CONTROL_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# PEP 3333 and RFC 3875 §4.1.18: a header reaches the environ as HTTP_ and its name in capitals with "_" for "-".
# Any other spelling is a server's leftover of a malformed line.
ENVIRON_NAME: Final = re.compile(r"HTTP_[A-Z0-9_]+")

# RFC 9112 §6.2, RFC 9110 §8.6
#   Content-Length = 1*DIGIT
# Fifteen digits are a petabyte; more would only serve to overflow somebody behind us.
CONTENT_LENGTH: Final = re.compile(r"[0-9]{1,15}")

# RFC 9110 §7.2, RFC 3986 §3.2
#   Host = uri-host [ ":" port ]
#   reg-name = *( unreserved / pct-encoded / sub-delims ), narrowed to what host names are made of:
#   sub-delims and percent-encodings in a host name serve nobody but an attacker.
HOST: Final = re.compile(
    r"(?P<name>(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})\.?"
    r"|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)

# RFC 9110 §11.4
#   credentials = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
CREDENTIALS_TOKEN68: Final = re.compile(rf"({_TOKEN})(?: +[A-Za-z0-9\-._~+/]+=*)?")
#   auth-param  = token BWS "=" BWS ( token / quoted-string )
# Values are taken a little wider, for what AWS and OAuth 1 send. A second credential, which servers join with a comma,
# has no "=" after its scheme and so is no parameter.
_AUTH_PARAM = rf'{_TOKEN}[ \t]*=[ \t]*(?:"(?:[^"\\]|\\.)*+"|[^\s",]*+)'
CREDENTIALS_PARAMS: Final = re.compile(rf"{_TOKEN} +{_AUTH_PARAM}(?:[ \t]*,[ \t]*{_AUTH_PARAM})*+")

# What is no token68 and in use all the same: a scheme and one word without comma or quotation mark.
CREDENTIALS_OPAQUE: Final = re.compile(rf"{_TOKEN} +[!#-+\--~]+")

# RFC 3986 §3.3
#   pchar = unreserved / pct-encoded / sub-delims / ":" / "@"
# The path as most clients send it: no escape, no empty segment, no segment that starts with a dot.
PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,;=:@\-][A-Za-z0-9._~!$&'()*+,;=:@\-]*)*/?")

# RFC 3986 §2: what may stand raw in a path. "|" is not in the RFC, but browsers send it (WHATWG URL §1.3); "#" and
# the backslash are reported by rules of their own.
UNSAFE_IN_PATH: Final = re.compile(r"[^\x21\x23-\x3b\x3d\x40-\x5d\x5f\x61-\x7a\x7c\x7e]")

# A query may hold any visible ASCII but "#", which starts a fragment and is never sent (RFC 9110 §7.1).
UNSAFE_IN_QUERY: Final = re.compile(r"[^\x21\x22\x24-\x7e]")

# RFC 3986 §2.1
#   pct-encoded = "%" HEXDIG HEXDIG
BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")

# C0, DEL and C1 in a decoded path.
CONTROL_IN_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Identifiers of requests that a trusted proxy may hand in; anything else could forge log lines.
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,128}")


def environ_key(header: str) -> str:
    """The key under which WSGI delivers *header*, Content-Type and Content-Length apart (RFC 3875 §4.1.18)."""
    return "HTTP_" + header.upper().replace("-", "_")
