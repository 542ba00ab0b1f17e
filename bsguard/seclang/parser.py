"""From directives to a :class:`Program`: every directive, what it means, every problem collected.

One file's mistakes do not hide another's: a directive that cannot be read is reported and left out, reading goes on,
and the caller gets all problems in one :class:`RuleError`.
"""

from __future__ import annotations

import dataclasses
import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bsguard.core.config import nearest
from bsguard.seclang import operators, updates
from bsguard.seclang.actions import Draft, LinkDraft, read_action, split_actions
from bsguard.seclang.errors import Mistake, Position, RuleError, RuleProblem
from bsguard.seclang.lexer import Directive, directive, logical_lines
from bsguard.seclang.macros import constant, read_template
from bsguard.seclang.model import Marker, Operator, Options, Program, Rule
from bsguard.seclang.variables import EMPTY, read_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bsguard.seclang.lexer import Word

_PHASES: Final = range(1, 6)
_INCLUDE_DEPTH_MAX: Final = 16
_WORDS_BEFORE_ACTIONS: Final = 2
#: Directives of a server's set-up that decide nothing here: log files, folders, and limits that Limits holds.
WITHOUT_EFFECT: Final = frozenset(
    """
    secargumentseparator secargumentslimit secauditengine secauditlog secauditlog2 secauditlogdirmode
    secauditlogfilemode secauditlogformat secauditlogparts secauditlogrelevantstatus secauditlogstoragedir
    secauditlogtype seccollectiontimeout secconnengine seccookieformat seccookiev0separator secdatadir secdebuglog
    secdebugloglevel secguardianlog secpcrematchlimit secpcrematchlimitrecursion secrequestbodyinmemorylimit
    secrequestbodyjsondepthlimit secrequestbodylimit secrequestbodylimitaction secrequestbodynofileslimit
    secresponsebodylimit secresponsebodylimitaction secserversignature secstatusengine sectmpdir
    sectmpsaveuploadedfiles secunicodemapfile secuploaddir secuploadfilelimit secuploadfilemode
    secuploadkeepfiles secwebappid secxmlexternalentity
    """.split()  # noqa: SIM905  words read better than a column of quotes
)


@dataclasses.dataclass(frozen=True, slots=True)
class Snippet:
    """Rules that stand in no file; *name* is what problems call them."""

    name: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Default:
    """What SecDefaultAction sets for a phase."""

    disruptive: str = "pass"
    argument: str = ""
    status: int = 403
    log: bool = True
    transformations: tuple[str, ...] = ()


def load(paths: Iterable[str | Path | Snippet]) -> Program:
    """Read the files that *paths* name; a path may be a pattern such as ``rules/*.conf``, read in order of names.

    Raises :class:`RuleError` with every problem of every file.
    """
    reader = _Reader()
    for path in paths:
        if isinstance(path, Snippet):
            reader.read(path.name, path.text)
            continue
        reader.include(str(path), Position(str(path), 1))
    return reader.finished()


def parse(text: str, *, file: str = "<text>") -> Program:
    """Read rules from *text*; files that they name are looked for beside *file*. Raises :class:`RuleError`."""
    reader = _Reader()
    reader.read(file, text)
    return reader.finished()


class _Reader:
    """Everything read so far."""

    def __init__(self) -> None:
        self.items: list[Rule | Marker] = []
        self.problems: list[RuleProblem] = []
        self.notices: dict[str, None] = {}
        self.options: dict[str, object] = {}
        self.defaults: dict[int, Default] = dict.fromkeys(_PHASES, Default())
        self.ids: dict[int, Position] = {}
        self.draft: Draft | None = None
        self.depth = 0

    def finished(self) -> Program:
        """The program. Raises :class:`RuleError` if anything was wrong."""
        for item in self.items:
            if isinstance(item, Rule) and item.skip_after and not self._lands(item.skip_after):
                self.problem(item.position, f"skipAfter:{item.skip_after} names no marker and no rule; add SecMarker")
        if self.problems:
            raise RuleError(self.problems)
        return Program(tuple(self.items), Options(**self.options), tuple(self.notices))  # type: ignore[arg-type]

    def _lands(self, target: str) -> bool:
        if target.isdigit() and int(target) in self.ids:
            return True
        return any(isinstance(item, Marker) and item.name == target for item in self.items)

    def problem(self, position: Position, message: str) -> None:
        """Note a problem and go on."""
        self.problems.append(RuleProblem(position, message))

    def include(self, pattern: str, asked: Position) -> None:
        """Read the files that *pattern* names."""
        names = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207  it may be absolute
        if not names:
            self.problem(asked, f"no file matches {pattern}")
        if self.depth >= _INCLUDE_DEPTH_MAX:
            self.problem(asked, f"Include goes deeper than {_INCLUDE_DEPTH_MAX} files")
            return
        self.depth += 1
        for name in names:
            try:
                text = Path(name).read_bytes().decode("utf-8", "surrogateescape")
            except (OSError, ValueError) as error:
                self.problem(asked, f"{name} cannot be read ({getattr(error, 'strerror', None) or error})")
                continue
            self.read(name, text)
        self.depth -= 1

    def read(self, file: str, text: str) -> None:
        """Read one file."""
        for line in logical_lines(file, text):
            try:
                one = directive(line)
            except Mistake as mistake:
                self.problem(line.position(mistake.offset), str(mistake))
                continue
            self.take(one)
        if self.draft is not None:
            self.problem(self.draft.position, "the chain that begins here never ends; drop chain or add the next rule")
            self.draft = None

    def take(self, one: Directive) -> None:
        """Read one directive."""
        name = one.name.text.lower()
        if self.draft is not None and name != "secrule":
            self.problem(one.position, "a SecRule must follow, since the rule before says chain")
            self.draft = None
        if name in WITHOUT_EFFECT:
            self.notices.setdefault(f"{one.name.text} has no effect here")
            return
        handler = _DIRECTIVES.get(name)
        if handler is None:
            close = nearest(name, _DIRECTIVES)
            hint = f"; did you mean {_SPELLINGS.get(close, close)}?" if close else ""
            self.problem(one.position, f"there is no directive {one.name.text}{hint}")
            return
        lowest, highest, read = handler
        if not lowest <= len(one.words) <= highest:
            wanted = str(lowest) if lowest == highest else f"{lowest} to {highest}"
            self.problem(
                one.position, f"{one.name.text} takes {wanted} words, not {len(one.words)}; quote what holds blanks"
            )
            return
        try:
            read(self, one)
        except Mistake as mistake:
            self.problem(one.position, f"{one.name.text}: {mistake}")

    def guarded(self, one: Directive, word: Word, read: Callable[[str], object]) -> object:
        """What *read* makes of *word*; a mistake is noted where it stands, and gives None."""
        try:
            return read(word.text)
        except Mistake as mistake:
            self.problem(one.place(word, min(mistake.offset, len(word.text))), str(mistake))
            return None

    # Directives, one method each.

    def rule(self, one: Directive) -> None:
        """``SecRule TARGETS OPERATOR [ACTIONS]``."""
        variables = self.guarded(one, one.words[0], read_variables)
        folder = str(Path(one.source.file).parent)
        operator = self.guarded(one, one.words[1], lambda text: read_operator(text, folder))
        link = LinkDraft(one.position, variables or (), operator)  # type: ignore[arg-type]
        if link.operator is not None and link.operator.name in operators.ASKING:
            self.notices.setdefault(f"{one.position}: @{link.operator.name} never matches here")
        for variable in link.variables:
            if variable.name in EMPTY:
                self.notices.setdefault(f"{one.position}: {variable.name} is always empty here")
        self._rule(one, link, one.words[2] if len(one.words) > _WORDS_BEFORE_ACTIONS else None)

    def action(self, one: Directive) -> None:
        """``SecAction ACTIONS``."""
        self._rule(one, LinkDraft(one.position), one.words[0])

    def _rule(self, one: Directive, link: LinkDraft, actions: Word | None) -> None:
        chained = self.draft is not None
        draft = self.draft or Draft(one.position)
        draft.links.append(link)
        draft.goes_on = False
        listed = list(self.guarded(one, actions, lambda text: list(split_actions(text))) or ()) if actions else []  # type: ignore[call-overload]
        if not chained:
            draft.given = {action.name for action in listed}
            for action in listed:  # the phase chooses the defaults that the others build on
                if action.name == "phase" and actions:
                    self._apply(one, actions, draft, action, chained=False)
            self._begin(draft)
        link.transformations += self.defaults[draft.phase].transformations
        for action in listed:
            if actions and not (action.name == "phase" and not chained):
                self._apply(one, actions, draft, action, chained=chained)
        self._templates(one, draft, link)
        self.draft = draft if draft.goes_on else None
        if self.draft is None:
            self._end(draft)

    def _apply(self, one: Directive, word: Word, draft: Draft, action: object, *, chained: bool) -> None:
        try:
            read_action(draft, action, chained=chained)  # type: ignore[arg-type]
        except Mistake as mistake:
            self.problem(one.place(word, mistake.offset), str(mistake))

    def _begin(self, draft: Draft) -> None:
        default = self.defaults[draft.phase]
        draft.disruptive, draft.disruptive_argument = default.disruptive, default.argument
        draft.status, draft.log = default.status, default.log

    def _templates(self, one: Directive, draft: Draft, link: LinkDraft) -> None:
        texts = [change.key for change in link.set_variables] + [change.value for change in link.set_variables]
        if len(draft.links) == 1:
            texts += [draft.message, draft.data]
        for text in texts:
            try:
                read_template(text)
            except Mistake as mistake:
                self.problem(one.position, str(mistake))

    def _end(self, draft: Draft) -> None:
        if draft.disruptive == "block":
            default = self.defaults[draft.phase]
            draft.disruptive, draft.disruptive_argument = default.disruptive, default.argument
        if draft.id is None:
            if "id" not in draft.given:
                self.problem(draft.position, "the rule has no id; add one such as id:100001")
            return
        if draft.id in self.ids:
            self.problem(draft.position, f"id {draft.id} is taken by the rule at {self.ids[draft.id]}")
            return
        self.ids[draft.id] = draft.position
        self.items.append(draft.finished())

    def default_action(self, one: Directive) -> None:
        """``SecDefaultAction ACTIONS``."""
        draft = Draft(one.position, [LinkDraft(one.position)])
        for action in split_actions(one.words[0].text):
            read_action(draft, action)
        if draft.disruptive == "block":
            raise Mistake("block stands for what is set here; write deny or pass")
        self.defaults[draft.phase] = Default(
            draft.disruptive,
            draft.disruptive_argument,
            draft.status,
            draft.log,
            tuple(draft.links[0].transformations),
        )

    def marker(self, one: Directive) -> None:
        """``SecMarker NAME``."""
        self.items.append(Marker(one.position, one.words[0].text))

    def remove_by_id(self, one: Directive) -> None:
        """``SecRuleRemoveById ID…``."""
        self._changed(one, updates.remove(self.items, updates.by_ids(word.text for word in one.words)))

    def remove_by_tag(self, one: Directive) -> None:
        """``SecRuleRemoveByTag TAG``."""
        self._changed(one, updates.remove(self.items, updates.by_tag(one.words[0].text)))

    def remove_by_message(self, one: Directive) -> None:
        """``SecRuleRemoveByMsg MESSAGE``."""
        self._changed(one, updates.remove(self.items, updates.by_message(one.words[0].text)))

    def update_target_by_id(self, one: Directive) -> None:
        """``SecRuleUpdateTargetById ID TARGETS``."""
        chosen = updates.by_ids([one.words[0].text])
        self._changed(one, updates.update_targets(self.items, chosen, one.words[1].text))

    def update_target_by_tag(self, one: Directive) -> None:
        """``SecRuleUpdateTargetByTag TAG TARGETS``."""
        chosen = updates.by_tag(one.words[0].text)
        self._changed(one, updates.update_targets(self.items, chosen, one.words[1].text))

    def update_target_by_message(self, one: Directive) -> None:
        """``SecRuleUpdateTargetByMsg MESSAGE TARGETS``."""
        chosen = updates.by_message(one.words[0].text)
        self._changed(one, updates.update_targets(self.items, chosen, one.words[1].text))

    def update_action_by_id(self, one: Directive) -> None:
        """``SecRuleUpdateActionById ID ACTIONS``."""
        self._changed(one, updates.update_actions(self.items, one.words[0].text, one.words[1].text))

    def _changed(self, one: Directive, count: int) -> None:
        if count == 0:
            self.notices.setdefault(f"{one.position}: {one.name.text} {one.words[0].text} concerns no rule before it")

    def include_files(self, one: Directive) -> None:
        """``Include PATTERN``."""
        self.include(str(Path(one.source.file).parent / one.words[0].text), one.position)

    def engine(self, one: Directive) -> None:
        """``SecRuleEngine On|Off|DetectionOnly``."""
        self.options["engine"] = _choice(one.words[0].text, ("On", "Off", "DetectionOnly"))

    def request_body(self, one: Directive) -> None:
        """``SecRequestBodyAccess On|Off``."""
        self.options["request_body"] = _choice(one.words[0].text, ("On", "Off")) == "On"

    def response_body(self, one: Directive) -> None:
        """``SecResponseBodyAccess On|Off``."""
        self.options["response_body"] = _choice(one.words[0].text, ("On", "Off")) == "On"

    def response_types(self, one: Directive) -> None:
        """``SecResponseBodyMimeType TYPE…``."""
        self.options["response_types"] = tuple(word.text.lower() for word in one.words)

    def component(self, one: Directive) -> None:
        """``SecComponentSignature NAME``."""
        self.options["component"] = one.words[0].text


def read_operator(text: str, folder: str) -> Operator:
    """Read ``!@name argument``; text without a name is a regular expression. Raises :class:`Mistake`."""
    rest = text.lstrip()
    negated = rest.startswith("!")
    rest = rest[1:].lstrip() if negated else rest
    name, argument = "rx", rest
    if rest.startswith("@"):
        name, _, argument = rest[1:].partition(" ")
        name, argument = name.strip().lower(), argument.strip()
    template = read_template(argument) if name in operators.WITH_MACROS else ()
    fixed = constant(template) if template else argument.encode("utf-8", "surrogateescape")
    operators.build(name, b"" if fixed is None else fixed, folder)  # what is wrong with it shows here
    return Operator(name, argument, negated, folder)


def _choice(text: str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if text.lower() == choice.lower():
            return choice
    raise Mistake(f"one of {', '.join(choices)} is expected")


#: Every directive that does something: fewest and most words, and who reads it.
_DIRECTIVES: Final[Mapping[str, tuple[int, int, Callable[[_Reader, Directive], None]]]] = {
    "include": (1, 1, _Reader.include_files),
    "secaction": (1, 1, _Reader.action),
    "seccomponentsignature": (1, 1, _Reader.component),
    "secdefaultaction": (1, 1, _Reader.default_action),
    "secmarker": (1, 1, _Reader.marker),
    "secrequestbodyaccess": (1, 1, _Reader.request_body),
    "secresponsebodyaccess": (1, 1, _Reader.response_body),
    "secresponsebodymimetype": (1, 64, _Reader.response_types),
    "secrule": (2, 3, _Reader.rule),
    "secruleengine": (1, 1, _Reader.engine),
    "secruleremovebyid": (1, 256, _Reader.remove_by_id),
    "secruleremovebymsg": (1, 1, _Reader.remove_by_message),
    "secruleremovebytag": (1, 1, _Reader.remove_by_tag),
    "secruleupdateactionbyid": (2, 2, _Reader.update_action_by_id),
    "secruleupdatetargetbyid": (2, 2, _Reader.update_target_by_id),
    "secruleupdatetargetbymsg": (2, 2, _Reader.update_target_by_message),
    "secruleupdatetargetbytag": (2, 2, _Reader.update_target_by_tag),
}
_SPELLINGS: Final = {
    "include": "Include",
    "secaction": "SecAction",
    "secdefaultaction": "SecDefaultAction",
    "secmarker": "SecMarker",
    "secrule": "SecRule",
    "secruleengine": "SecRuleEngine",
    "secruleremovebyid": "SecRuleRemoveById",
    "secruleremovebytag": "SecRuleRemoveByTag",
}
