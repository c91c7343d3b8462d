"""Who declares an object, told from the marks on it and from the managers that own its fields.

A mark alone proves nothing: controllers copy labels and annotations to what they make. It counts where a manager of
the same tool owns something of the object. Pure.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from exporter.drift.fieldsets import count, tree


if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.changes.entries import Entry
    from exporter.drift.look import Look
    from exporter.model import WriterClass


class Tool(Struct, frozen=True, kw_only=True):
    """How a tool that declares objects is known.

    Args:
        name: under which it is shown
        managers: globs of its field managers
        marks: globs of the annotations and labels that it sets; `key=value` for a certain value
        maker: it makes objects out of others that are declared: what it makes is not declared by a person
        annotates: with its client-side apply it keeps what it applied in an annotation

    """

    name: str
    managers: tuple[str, ...]
    marks: tuple[str, ...] = ()
    maker: bool = False
    annotates: bool = False


# The first one wins: a tool that uses another one's library comes before it.
TOOLS = (
    Tool(
        name="argocd",
        managers=("argocd-controller", "argocd-application-controller", "argocd"),
        marks=("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance", "app.kubernetes.io/instance"),
        annotates=True,
    ),
    Tool(
        name="flux",
        managers=("kustomize-controller", "helm-controller", "flux", "flux-*", "gotk-*"),
        marks=("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"),
    ),
    Tool(
        name="configsync",
        managers=("configsync.gke.io*",),
        marks=("configsync.gke.io/*", "configmanagement.gke.io/*"),
    ),
    Tool(
        name="fleet",
        managers=("fleetagent", "fleet-agent", "rancher-fleet*"),
        marks=("objectset.rio.cattle.io/*", "fleet.cattle.io/*"),
    ),
    Tool(name="pulumi", managers=("pulumi*",), marks=("pulumi.com/*", "app.kubernetes.io/managed-by=pulumi")),
    Tool(name="terraform", managers=("Terraform", "terraform*", "HashiCorp")),
    Tool(
        name="helm",
        managers=("helm", "Helm"),
        marks=("meta.helm.sh/release-*", "app.kubernetes.io/managed-by=Helm"),
    ),
    Tool(name="kapp", managers=("kapp", "kapp-*"), marks=("kapp.k14s.io/*",)),
    Tool(
        name="crossplane",
        managers=("apiextensions.crossplane.io/*", "crossplane*"),
        marks=("crossplane.io/composite", "crossplane.io/claim-name"),
        maker=True,
    ),
    Tool(
        name="capi",
        managers=("capi-*",),
        marks=("topology.cluster.x-k8s.io/*",),
        maker=True,
    ),
    Tool(
        name="kubectl",
        managers=("kubectl-client-side-apply",),
        marks=("kubectl.kubernetes.io/last-applied-configuration",),
        annotates=True,
    ),
)
# What a manager owns besides these is a declaration; of an Argo CD Application its controller writes `operation`.
_KUBECTL = "kubectl"
_CLASSES: dict[WriterClass, int] = {"gitops": 2, "unknown": 1, "human": 0}
_NO_CONTENT = frozenset({"f:metadata", "f:status", "f:operation", "."})


class Declarer(Struct, frozen=True, gc=False):
    """Who declares one object.

    Args:
        name: under which it is shown: a tool, a field manager, or the kind of the object that made this one; empty
            where nobody does
        managers: the field managers that write for it
        maker: a controller made the object
        annotates: see `Tool`

    """

    name: str = ""
    managers: frozenset[str] = frozenset()
    maker: bool = False
    annotates: bool = False


NOBODY = Declarer()


class Tools:
    """The tools that are known, in the order in which they win.

    Args:
        added: globs of field managers by the name of a declarer; they come before the shipped ones

    """

    def __init__(self, added: Mapping[str, Iterable[str]] | None = None) -> None:
        own = {name: tuple(globs) for name, globs in (added or {}).items()}
        shipped = {tool.name: tool for tool in TOOLS}
        self.rows: tuple[Tool, ...] = (
            *(Tool(name=name, managers=globs) for name, globs in own.items() if name not in shipped),
            *(replace(tool, managers=own.get(tool.name, ()) + tool.managers) for tool in TOOLS),
        )
        self.by_name = {tool.name: tool for tool in self.rows}
        self.ranks = {name: rank for rank, name in enumerate(self.by_name)}
        self.of = lru_cache(maxsize=1024)(self._of)

    def _of(self, manager: str) -> Tool | None:
        """Tell which tool a field manager writes for, None for any other."""
        for tool in self.rows:
            if any(fnmatchcase(manager, glob) for glob in tool.managers):
                return tool
        return None


SHIPPED = Tools()


def find_declarer(look: Look, claims: list[Entry]) -> Declarer:
    """Find who declares an object.

    Args:
        look: at the object, as far as there is one yet
        claims: the entries of its managedFields that are about no subresource

    """
    declared = look.known.declared
    if declared is not None and declared.declarer:
        return _named(declared.declarer, look, claims)
    tools = _writing(look, claims)
    if len(tools) > 1:
        tools.pop(_KUBECTL, None)  # by it people write over what other tools declare
        tools = {name: tools[name] for name in tools if _is_marked(look.known.tools.by_name[name], look)} or tools
    if tools:
        known = look.known.tools
        found = known.by_name[min(tools, key=known.ranks.__getitem__)]
        managers = tools[found.name] | ({_KUBECTL} if found.name == _KUBECTL else set())
        return Declarer(found.name, frozenset(managers), found.maker, found.annotates)
    maker = _maker(look)
    if maker:
        return Declarer(maker, maker=True)
    return _by_apply(look, claims)


def _named(name: str, look: Look, claims: list[Entry]) -> Declarer:
    """Take it from who says so; a name that is no tool's is that of a field manager."""
    tool = look.known.tools.by_name.get(name)
    if tool is None:
        return Declarer(name, frozenset((name,)))
    managers = {str(entry.get("manager", "")) for entry in claims}
    own = frozenset(manager for manager in managers if look.known.tools.of(manager) is tool)
    return Declarer(name, own, annotates=tool.annotates)


@lru_cache(maxsize=4096)
def is_mark(key: str) -> bool:
    """Tell whether a label or annotation is one that a tool sets for itself."""
    return any(fnmatchcase(key, glob.partition("=")[0]) for tool in TOOLS for glob in tool.marks)


def _writing(look: Look, claims: list[Entry]) -> dict[str, set[str]]:
    """Name the tools that own something of the object, and the managers by which they do."""
    known = look.known.tools
    tools: dict[str, set[str]] = {}
    for entry in claims:
        manager = str(entry.get("manager", ""))
        tool = known.of(manager)
        if tool is not None and (_has_content(entry) or _is_marked(tool, look)):
            tools.setdefault(tool.name, set()).add(manager)
    if not claims:
        return {tool.name: set() for tool in known.rows if _is_marked(tool, look)}
    before = look.memory.declarer
    if before in known.by_name and tools.keys() <= {_KUBECTL}:
        tools.setdefault(before, set())  # people have taken over all that it owned: that does not make it theirs
    return tools


def _by_apply(look: Look, claims: Iterable[Entry]) -> Declarer:
    """To apply is to declare, whoever does it, but for the controllers, which look after what they apply themselves.

    Where several do, it is who did before, else the one of the better class, else the one that applies more.
    """
    ranks: dict[str, tuple[bool, int, int]] = {}
    for entry in claims:
        if entry.get("operation") == "Apply" and _has_content(entry):
            name = str(entry.get("manager", ""))
            rank = _CLASSES.get(look.known.writers.class_of(name, claims))
            if rank is not None:
                ranks[name] = (name == look.memory.declarer, rank, count(tree(entry)))
    if not ranks:
        return NOBODY
    name = max(ranks, key=lambda one: ranks[one])
    return Declarer(name, frozenset((name,)))


def _is_marked(tool: Tool, look: Look) -> bool:
    for glob in tool.marks:
        key, _, value = glob.partition("=")
        for held in (look.labels, look.annotations):
            if key.endswith("*"):
                if any(mark.startswith(key[:-1]) for mark in held):
                    return True
            elif key in held and (not value or held[key] == value):
                return True
    return False


def _has_content(entry: Entry) -> bool:
    fields = entry.get("fieldsV1")
    return isinstance(fields, dict) and not fields.keys() <= _NO_CONTENT


def _maker(look: Look) -> str:
    """Name the kind of the object that made this one, empty where none did."""
    owners = look.subject.version.metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, dict) and owner.get("controller") is True:
            return str(owner.get("kind", "")) or "unknown"
    return ""
