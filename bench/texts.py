"""What the page says of each case, apart from its figures: a word can be changed without measuring again."""

from __future__ import annotations

from msgspec import Struct


class Text(Struct, frozen=True):
    """Heading, and what was done and what bounds it; Markdown."""

    title: str
    body: str


# In the order of the page.
TEXTS = {
    "saturated": Text(
        "Watch bytes to journal, saturated, one core",
        """
The whole exporter in one process on one core, with its journal in a file on disk: lines of a watch, exactly as an API
server sends them, over 20 types in pieces of 64 KiB; decoding, diff, writer, redaction, commit, metrics. Left out are
the socket and TLS. The objects that change are drawn from 1,000, unless more are named. Nothing in them looks like a
part of a secret, but for the line that says so: then all of an object is searched, which costs more. What the lines say
to have happened has happened as they are read. The goal was set for the diff and the writer alone; as the exporter is
shipped drift is judged and rollouts are followed, too: a tool declares each object, people own two more fields of it,
and each change of its spec ends the rollout of the one before, which is told, and begins another; with each status it
is ready, or ceases to be. The other column is what the official Python client's `Watch` does with the same lines, in
turn with ours in the same process: it decodes them to a dict, and nothing else. Ours is by the clock, the client's is
CPU time: on a machine that has other work to do only ours is lower. With delivery, the endpoint has the other core, and
a change counts once the cursor has passed it.

What bounds it: no single function stands out, and less code alone does not reach the goal. A change of a spec makes the
interpreter take 3,300 steps in 120 calls of Python functions with the diff and the writer alone, 11,500 in 430 with
everything. By samples of the processor, 63 and 68 % of the time are the interpreter's; the rest is JSON, SQLite, the
kernel's writes of the log, compression, the search for secrets, and memory. If the interpreter cost nothing at all,
that rest would let through about three times as many changes: more than the goal for the diff and the writer alone, and
less for everything. What helped was order, not less work: the steps of a batch go to one keeper after the other, so
that its code and data stay in the processor's cache, which took a seventh off a change of a spec. Interpreters that
were compiled with profile-guided optimisation, as those of Debian are, take 12 to 17 % less than the one here, which
was not. Compiling the pure modules that are busiest with mypyc took a sixth off a change of a spec, for a wheel of its
own for each platform. It is not done.
""".strip(),
    ),
    "real": Text(
        "CPU per change on a real kube-apiserver",
        """
The exporter as a process, all custom resources of 20 types with 50 objects of 2 KiB each on a real etcd and kube-
apiserver, everything on this one machine. 500 changes a second are asked for, evenly spaced; what the machine could
keep up with is in the table, and where it is less, the verdicts are about another rate than the goals. A third of the
changes are merge patches of the spec, the others of the status. CPU is user and system time of the whole process,
divided by the changes that the exporter counted. kube-state-metrics 2.18 follows the same objects at the same time,
with ten families for each of them; its CPU is divided by the same number. Most of the cost at such a rate is waking
up for one event at a time; it falls as the rate rises.
""".strip(),
    ),
    "starts": Text(
        "Starts and memory",
        """
The exporter as a process, against a server in another that sends prepared objects of 2 KiB over TLS faster than a
real API server does: what bounds a start here is the exporter's own core. Ready is the line in its log, and it counts
from the start of the process. The two fields of each object that nobody declared are a tool's; where they are people's,
each object has a series of its own (`customresource_undeclared_fields`), which has lines of its own here.
""".strip(),
    ),
    "starts-real": Text(
        "Starts and memory on a real kube-apiserver",
        """
The same against a real etcd and kube-apiserver on this machine, which share its cores with the exporter.
""".strip(),
    ),
    "delivery": Text(
        "A backlog delivered to an OTLP endpoint, one core",
        """
Changes that lie in the journal, a third of the spec and the others of the status, sent to an endpoint on the same
machine that decodes and counts them, on the other core; one request at a time, 512 records in each, with the default
settings. A record counts once the endpoint has answered and the cursor has moved.
""".strip(),
    ),
    "judged": Text(
        "The judgement of drift, one version",
        """
What it costs to judge a version once the tracker has found what moved in it, in CPU time of one core; a rollout by
whoever declares the object, and an edit by a person, held against the last-applied annotation or against what the
declarer's entry projected; and a version of which only the status moved, which is not judged at all. The other column
is the diff of the same two versions, with their decoding.
""".strip(),
    ),
    "rollouts": Text(
        "Rollouts, one core",
        """
Objects with two conditions are edited, are not ready, become ready and stay so: one rollout each, with four versions.
Following is everything that the keeper of rollouts does, with its states and records committed to a journal in a file,
less what committing the same changes alone takes. No rollout is kept after it was told: what is left of an object is
what the next one is linked to.
""".strip(),
    ),
}
