"""A rule set that is laid out and scores as CRS 4 does, written for these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_SETUP: Final = r"""
SecDefaultAction "phase:1,log,pass"
SecDefaultAction "phase:2,log,pass"
SecAction "id:900990,phase:1,pass,nolog,setvar:tx.crs_setup_version=4280"
"""
_INIT: Final = r"""
SecRule &TX:crs_setup_version "@eq 0" "id:901001,phase:1,deny,status:500,log,msg:'No set-up'"
SecRule &TX:inbound_anomaly_score_threshold "@eq 0" \
    "id:901100,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=5"
SecRule &TX:outbound_anomaly_score_threshold "@eq 0" \
    "id:901110,phase:1,pass,nolog,setvar:tx.outbound_anomaly_score_threshold=4"
SecRule &TX:blocking_paranoia_level "@eq 0" "id:901120,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=1"
SecRule &TX:detection_paranoia_level "@eq 0" \
    "id:901125,phase:1,pass,nolog,setvar:tx.detection_paranoia_level=%{TX.blocking_paranoia_level}"
SecRule &TX:early_blocking "@eq 0" "id:901115,phase:1,pass,nolog,setvar:tx.early_blocking=0"
SecAction "id:901200,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_pl1=0,\
    setvar:tx.inbound_anomaly_score_pl2=0,setvar:tx.blocking_inbound_anomaly_score=0,\
    setvar:tx.outbound_anomaly_score_pl1=0"
"""
_DETECT: Final = r"""
SecRule &TX:allowed_methods "@eq 1" \
    "id:911100,phase:1,block,msg:'Method',chain,severity:'CRITICAL'"
    SecRule REQUEST_METHOD "!@within %{tx.allowed_methods}" "setvar:tx.inbound_anomaly_score_pl1=+5"
SecRule &TX:allowed_request_content_type "@eq 1" \
    "id:920420,phase:1,block,msg:'Media type',chain,severity:'CRITICAL'"
    SecRule REQUEST_HEADERS:Content-Type "@rx ^[^;\s]+" "chain,capture,setvar:'tx.content_type=|%{tx.0}|'"
        SecRule TX:content_type "!@within %{tx.allowed_request_content_type}" \
            "setvar:tx.inbound_anomaly_score_pl1=+5"
SecRule REQUEST_HEADERS:User-Agent "@pmFromFile agents.data" \
    "id:913100,phase:1,block,capture,msg:'Scanner',tag:'attack-reputation-scanner',tag:'paranoia-level/1',\
    severity:'CRITICAL',setvar:tx.inbound_anomaly_score_pl1=+5"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* "@rx (?i)<script" \
    "id:941100,phase:2,block,capture,t:none,t:urlDecodeUni,msg:'Script',logdata:'Matched Data: %{TX.0}',\
    tag:'attack-xss',tag:'OWASP_CRS',tag:'paranoia-level/1',severity:'WARNING',\
    setvar:tx.inbound_anomaly_score_pl1=+3"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/* "@rx (?i)union\s+select" \
    "id:942100,phase:2,block,capture,t:none,t:urlDecodeUni,msg:'SQL',logdata:'Matched Data: %{TX.0}',\
    tag:'attack-sqli',tag:'OWASP_CRS',tag:'paranoia-level/1',severity:'CRITICAL',\
    setvar:tx.inbound_anomaly_score_pl1=+5"
SecRule TX:DETECTION_PARANOIA_LEVEL "@lt 2" "id:942013,phase:2,pass,nolog,skipAfter:END-942"
SecRule ARGS "@rx (?i)\bselect\b" \
    "id:942200,phase:2,block,msg:'A word of SQL',tag:'attack-sqli',tag:'paranoia-level/2',severity:'CRITICAL',\
    setvar:tx.inbound_anomaly_score_pl2=+5"
SecMarker END-942
"""
_EVALUATE: Final = r"""
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 1" \
    "id:949052,phase:1,pass,nolog,setvar:tx.blocking_inbound_anomaly_score=+%{tx.inbound_anomaly_score_pl1}"
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 2" \
    "id:949053,phase:1,pass,nolog,setvar:tx.blocking_inbound_anomaly_score=+%{tx.inbound_anomaly_score_pl2}"
SecAction "id:949059,phase:2,pass,nolog,setvar:tx.blocking_inbound_anomaly_score=0"
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 1" \
    "id:949060,phase:2,pass,nolog,setvar:tx.blocking_inbound_anomaly_score=+%{tx.inbound_anomaly_score_pl1}"
SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge 2" \
    "id:949061,phase:2,pass,nolog,setvar:tx.blocking_inbound_anomaly_score=+%{tx.inbound_anomaly_score_pl2}"
SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@ge %{tx.inbound_anomaly_score_threshold}" \
    "id:949111,phase:1,deny,t:none,chain,tag:'anomaly-evaluation',\
    msg:'Inbound Anomaly Score Exceeded in phase 1 (Total Score: %{TX.BLOCKING_INBOUND_ANOMALY_SCORE})'"
    SecRule TX:EARLY_BLOCKING "@eq 1"
SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@ge %{tx.inbound_anomaly_score_threshold}" \
    "id:949110,phase:2,deny,t:none,tag:'anomaly-evaluation',\
    msg:'Inbound Anomaly Score Exceeded (Total Score: %{TX.BLOCKING_INBOUND_ANOMALY_SCORE})'"
"""
_ANSWER: Final = r"""
SecRule RESPONSE_HEADERS:X-Debug "@unconditionalMatch" \
    "id:950100,phase:3,pass,log,msg:'Debug header',setvar:tx.outbound_anomaly_score_pl1=+3"
SecRule RESPONSE_BODY "@rx ORA-[0-9]{5}" \
    "id:951100,phase:4,pass,log,msg:'Database error',setvar:tx.outbound_anomaly_score_pl1=+5"
SecRule TX:OUTBOUND_ANOMALY_SCORE_PL1 "@ge %{tx.outbound_anomaly_score_threshold}" \
    "id:959100,phase:4,deny,log,msg:'Outbound Anomaly Score Exceeded'"
"""


def a_rule_set(folder: Path) -> Path:
    """The rule set, in *folder*."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    (folder / "crs-setup.conf.example").write_text(_SETUP)
    (folder / "LICENSE").write_text("Test data.\n")
    texts = {
        "REQUEST-901-INITIALIZATION": _INIT.replace("phase:1,", "phase:1,ver:'OWASP_CRS/4.99.0',"),
        "REQUEST-942-DETECTION": _DETECT,
        "REQUEST-949-BLOCKING-EVALUATION": _EVALUATE,
        "RESPONSE-951-DATA-LEAKAGES": _ANSWER,
    }
    for name, text in texts.items():
        (rules / f"{name}.conf").write_text(text)
    (rules / "agents.data").write_text("# tools\nnikto\nsqlmap\n")
    return folder
