"""The names of HTML that run or load code."""

from __future__ import annotations

import re
from typing import Final

#: Elements that run code, load documents or change what others load; ``svg…`` and ``xsl…`` come on top.
ELEMENTS: Final = frozenset(
    b"applet base bgsound comment embed frame frameset handler iframe import isindex link listener meta noscript "
    b"object portal script style template vmlframe xml xss".split()
)

#: Attributes that are code, or that load it in some browser; ``xmlns…`` comes on top.
ATTRIBUTES: Final = frozenset(b"style filter datasrc dataformatas xlink:href srcdoc".split())

#: Attributes whose value is an address, which may be of the kind that is code.
ADDRESSES: Final = frozenset(
    b"action background by codebase data dynsrc formaction folder from handler href lowsrc pluginspage poster src to "
    b"values".split()
)

#: Attributes that are event handlers (HTML, SVG, pointer, touch and media events, and those of Internet Explorer).
EVENTS: Final = re.compile(
    rb"on(?:abort|activate|after(?:print|scriptexecute|update)|animation(?:cancel|end|iteration|start)|auxclick"
    rb"|before(?:activate|copy|cut|deactivate|editfocus|input|paste|print|scriptexecute|toggle|unload|update|xrselect)"
    rb"|begin(?:event)?|blur|bounce|cancel|canplay(?:through)?|cellchange|change|click|close|command|contextmenu"
    rb"|contentvisibilityautostatechange|controlselect|copy|cuechange|cut|dataavailable|dataset(?:changed|complete)"
    rb"|dblclick|deactivate|devicelight|devicemotion|deviceorientation|drag(?:drop|end|enter|exit|leave|over|start)?|drop"
    rb"|durationchange|emptied|end(?:event|ed)?|error(?:update)?|filterchange|finish|focus(?:in|out)?|formchange|formdata"
    rb"|forminput|fullscreen(?:change|error)|gesture(?:change|end|start)|(?:got|lost)pointercapture|hashchange|help|input"
    rb"|invalid|key(?:down|press|up)|languagechange|layoutcomplete|load(?:eddata|edmetadata|end|ing|start)?|losecapture"
    rb"|media(?:complete|error)|message(?:error)?"
    rb"|mouse(?:down|enter|leave|move|out|over|up|wheel)|move(?:end|start)?|offline|online|orientationchange|outofsync"
    rb"|page(?:hide|reveal|show|swap)|paste|pause|play(?:ing)?"
    rb"|pointer(?:cancel|down|enter|leave|move|out|over|rawupdate|up)|popstate|progress|propertychange|ratechange"
    rb"|readystatechange|redo|rejectionhandled|repeat(?:event)?|reset|resize(?:end|start)?|resume|reverse|row(?:delete"
    rb"|enter|exit|inserted|s(?:delete|enter|inserted))|scroll(?:end|snapchange|snapchanging)?|search"
    rb"|securitypolicyviolation|seek(?:ed|ing)?|select(?:ionchange|start)?|show|slotchange|stalled|start|stop|storage"
    rb"|submit|suspend|syncrestored|timeerror|timeupdate|toggle|touch(?:cancel|end|move|start)|trackchange"
    rb"|transition(?:cancel|end|run|start)|undo|unhandledrejection|unload|urlflip|volumechange|waiting|wheel"
    rb"|webkit\w+|zoom)"
)
