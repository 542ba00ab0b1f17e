from __future__ import annotations
from functools import lru_cache
from pathlib import Path
from bsguard.seclang import RuleSet
import bsguard
R = Path(bsguard.__file__).parent / "waf" / "rules" / "*.conf"
FREE=("comment", "generation_prompt", "description", "json.comment", "json.generation_prompt", "json.description","json.form.comment")
@lru_cache
def rules(): return RuleSet.load([R])
def reasons(request):
    seen=rules().judge(request)
    out=[]
    for m in seen.matches:
        f=m.found
        if "free-text" in m.tags or "not-free-text" in m.tags:
            f=[x for x in f if x.name.partition(":")[2] not in FREE]
        if f: out.append((m.rule_id,f[0].name,f[0].value[:120]))
    if seen.body_error and not out: out.append((0,seen.body_error))
    return out
def judge(request): return bool(reasons(request))
