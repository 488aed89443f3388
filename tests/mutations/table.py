"""The breakages: a text of the product, what stands in its place, and the test that must fail then."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
KIT = "shared/hocket"


class Stale(Exception):
    """A breakage does not fit the product any more."""


class Mutation(NamedTuple):
    """One rule broken: `text`, which stands once in `file` (below `shared/hocket`), becomes `instead`."""

    rule: str
    file: str
    text: str
    instead: str
    test: str

    @property
    def name(self) -> str:
        """The rule and what of the kit is broken."""
        return f"{self.rule} {self.file}"

    @property
    def module(self) -> str:
        """The dotted name of the module that is broken."""
        return f"hocket/{self.file}".removesuffix(".py").replace("/", ".")

    def source(self) -> str:
        """The source of the module as it is. Raises `Stale` where there is none."""
        path = ROOT / KIT / self.file
        if not path.is_file():
            raise Stale(f"rule {self.rule}: {KIT}/{self.file} is gone; name the file that holds the rule now")
        return path.read_text(encoding="utf-8")

    def broken(self) -> str:
        """The source with the rule broken. Raises `Stale` where the text does not stand in it once."""
        source = self.source()
        if (many := source.count(self.text)) != 1:
            raise Stale(
                f"rule {self.rule}: {self.text!r} stands {many} times in {KIT}/{self.file} and not once; "
                "name the text that holds the rule now"
            )
        return source.replace(self.text, self.instead)


MUTATIONS = (
    Mutation(  # acks are joined over a gap
        "1.1",
        "broker/rabbitmq/ack_tags.py",
        "joined = [tag for tag in new if tag <= self._floor]",
        "joined = new",
        "tests/hocket/broker/rabbitmq/test_ack_tags.py::test_any_order",
    ),
    Mutation(  # a start beside neighbours counts as one alone
        "1.4",
        "delivery/poison.py",
        "if line.error != boot and line.cause == ALONE)",
        "if line.error != boot)",
        "tests/hocket/delivery/test_poison.py::test_only_starts_at_the_end_and_of_other_processes_count",
    ),
    Mutation(  # a letter carries its whole history
        "1.6",
        "delivery/ending/dead_letter.py",
        "history[-LETTER_ATTEMPTS:]",
        "history",
        "tests/hocket/delivery/ending/test_dead_letter.py::test_a_letter_after_twenty_attempts_with_huge_errors",
    ),
    Mutation(  # a subscription queue has a length limit
        "1.7",
        "broker/topology.py",
        '"x-overflow": "reject-publish",',
        '"x-overflow": "reject-publish", "x-max-length": 1_000_000,',
        "tests/hocket/broker/test_topology.py::test_a_subscription_dead_letters_at_least_once_and_has_no_bound",
    ),
    Mutation(  # the inbox key leaves out the type
        "2.2",
        "envelope/keys.py",
        '_joined(("inbox", subscription, source, type))',
        '_joined(("inbox", subscription, source))',
        "tests/hocket/delivery/test_keys.py::test_one_business_key_may_stand_on_several_types",
    ),
    Mutation(  # all events of one type that a handler says have one key
        "2.3",
        "envelope/said_keys.py",
        "self._ordinals[type] = ordinal + 1",
        "self._ordinals[type] = ordinal",
        "tests/hocket/delivery/test_keys.py::test_keys_of_said_events_differ_by_ordinal_and_are_equal_over_attempts",
    ),
    Mutation(  # other data under a known key is a duplicate
        "2.5",
        "delivery/admit.py",
        "if arrival.hash == row.data_hash or envelope.version != row.version:",
        "if True:",
        "tests/hocket/delivery/test_keys.py::test_another_fact_under_a_known_key_is_buried_and_harms_no_neighbour",
    ),
    Mutation(  # an event runs however old it is
        "2.7",
        "delivery/admit.py",
        "if arrival.known.time.timestamp() < oldest:",
        "if False:",
        "tests/hocket/worker/test_retention.py::test_what_is_older_than_the_inbox_remembers_is_buried",
    ),
    Mutation(  # what waits stays where it was when the clock is corrected
        "11.7",
        "store/sqlite/clock.py",
        "partial(statements.shift, seconds=seconds, ",
        "partial(statements.shift, seconds=0.0, ",
        "tests/hocket/worker/test_clock_watch.py::test_sqlite_follows_the_machine_once_it_is_steady_and_what_waits_moves",
    ),
    Mutation(  # time-outs go on while the process does not run
        "11.6",
        "resilience/time_limit.py",
        "self._runs[run] += seconds",
        "self._runs[run] += 0.0",
        "tests/hocket/resilience/test_pauses.py::test_a_run_gets_the_time_back_that_its_process_did_not_have",
    ),
    Mutation(  # the inbox write takes every row
        "3.1",
        "store/sqlite/statements.py",
        "if inbox.won:",
        "if True:",
        "tests/hocket/delivery/test_commit.py::test_a_losing_copy_is_dropped_and_looked_up_again",
    ),
    Mutation(  # a commit that the database refuses is taken for a store that is away
        "3.2",
        "store/sqlite/transaction.py",
        "raise commit_refused(error, constraint=True) from error",
        "raise store_error(self._path, error) from error",
        "tests/hocket/outbox/test_outside_transactions.py::test_a_refused_commit_is_told_to_its_caller",
    ),
    Mutation(  # deferring attempt n records n
        "3.5",
        "delivery/record.py",
        "known = arrival.attempt - 1 if again.deferred else arrival.attempt",
        "known = arrival.attempt",
        "tests/hocket/delivery/test_handle.py::test_defer_costs_no_attempt_and_runs_the_same_one_again",
    ),
    Mutation(  # attempts share one decimal context
        "3.6",
        "resilience/isolation.py",
        "decimal.setcontext(decimal.getcontext().copy())  # the object",
        "decimal.getcontext()  # the object",
        "tests/hocket/resilience/test_isolation.py::test_it_has_a_task_and_a_context_of_its_own",
    ),
    Mutation(  # nobody waits for the earlier events of a subject
        "4.2",
        "outbox/subject_order.py",
        "if row.kind is not RowKind.EVENT or not row.subject:\n            return True",
        "return True",
        "tests/hocket/outbox/test_relay.py::test_the_order_of_a_subject_is_kept_over_nacks_and_cuts",
    ),
    Mutation(  # what hearers would read otherwise is said all the same
        "4.3",
        "event_data/saying.py",
        "if fits is None or not fits(event):",
        "if False:",
        "tests/hocket/event_data/test_saying.py::test_what_would_be_heard_otherwise_is_refused",
    ),
    Mutation(  # everything goes at once after an outage
        "4.4",
        "outbox/relay.py",
        "limit = 1 if self._probing else self.runtime.config.outbox_batch",
        "limit = self.runtime.config.outbox_batch",
        "tests/hocket/outbox/test_relay.py::test_after_a_lost_connection_one_row_goes_first",
    ),
    Mutation(  # the outbox has no bound
        "4.6",
        "outbox/backlog.py",
        "return max(self._events, self._stored.events) >= self._max_events",
        "return False",
        "tests/hocket/outbox/test_relay.py::test_intake_pauses_at_the_bound_and_goes_on",
    ),
    Mutation(  # a failure is compared by another type than the step that it must reach
        "5.1",
        "declarations/scope.py",
        "if not identity.reads_alike(first, model, name, SENSITIVE):",
        "if False:",
        "tests/hocket/declarations/test_scope.py::test_what_may_look_different_is_refused",
    ),
    Mutation(  # two copies of one step work at once
        "5.2",
        "saga/decisions.py",
        "if row.owner and row.owner != token:",
        "if False:",
        "tests/hocket/saga/test_decisions.py::test_a_copy_waits_while_another_is_at_work",
    ),
    Mutation(  # a failure leaves no mark on a run at work
        "5.3",
        "saga/decisions.py",
        "if row.state is LedgerState.BEGUN and not row.failure:",
        "if False:",
        "tests/hocket/delivery/test_sagas.py::test_a_failure_while_the_step_works_is_marked_and_undone_at_its_end",
    ),
    Mutation(  # a run that was undone begins again by a replay
        "5.6",
        "saga/decisions.py",
        "case LedgerState.UNSURE if replay:",
        "case _ if replay:",
        "tests/hocket/delivery/test_sagas.py::test_replaying_what_has_spoken_or_is_undone_is_obsolete",
    ),
    Mutation(  # a failed probe costs an attempt
        "6.1",
        "resilience/guard.py",
        'if shared.state != "closed":\n                self.deferred',
        "if False:\n                self.deferred",
        "tests/hocket/delivery/test_breakers.py::test_it_opens_pauses_defers_probes_and_closes",
    ),
    Mutation(  # failures never open a breaker
        "6.2",
        "resilience/breakers/transitions.py",
        "if streak >= breaker.after:",
        "if False:",
        "tests/hocket/resilience/breakers/test_transitions.py::test_failures_in_a_row_open_it_over_all_replicas",
    ),
    Mutation(  # every call gets a slot
        "6.4",
        "resilience/breakers/transitions.py",
        "if len(slots) >= width or mine >= share:",
        "if False:",
        "tests/hocket/resilience/breakers/test_transitions.py::test_slots_are_granted_up_to_the_width_and_the_share",
    ),
    Mutation(  # the slot of a dead replica is kept for ever
        "6.5",
        "resilience/breakers/transitions.py",
        "if slot.until > now and _owner(name) in living}",
        "}",
        "tests/hocket/resilience/breakers/test_transitions.py::test_a_slot_dies_with_its_owner_or_after_its_bound",
    ),
    Mutation(  # nothing pauses a subscription whose every delivery fails
        "6.11",
        "resilience/same_fault.py",
        "if self._failures >= FAILURES and",
        "if False and",
        "tests/hocket/resilience/test_same_fault.py::test_the_same_failures_in_a_row_pause_it",
    ),
    Mutation(  # the offset stays one behind what was folded
        "7.1",
        "streams/reader.py",
        "to = known.moved((fresh[-1].offset or 0) + 1, mark_of(fresh[-1]))",
        "to = known.moved(fresh[-1].offset or 0, mark_of(fresh[-1]))",
        "tests/hocket/streams/test_reader.py::test_it_reads_on_where_it_stood",
    ),
    Mutation(  # each death makes another letter
        "8.1",
        "delivery/record.py",
        "death = _death(arrival) or self.builder.ids.uuid7()",
        "death = self.builder.ids.uuid7()",
        "tests/hocket/delivery/test_replays.py::test_the_letter_is_the_same_over_every_death",
    ),
    Mutation(  # the older version of an event is another fact
        "10.1",
        "outbox/builder.py",
        "self._row(each, older, cause, self.ids.uuid7(), key)",
        "self._row(each, older, cause, self.ids.uuid7(), self.ids.uuid7())",
        "tests/hocket/delivery/test_versions.py::test_the_old_version_is_said_beside_the_new_one",
    ),
    Mutation(  # an error's text leaves as it is
        "18.1",
        "delivery/ending/error_text.py",
        "return clean(mask.hide(str(error)))",
        "return clean(str(error))",
        "tests/hocket/delivery/ending/test_error_text.py::test_an_error_that_quotes_is_masked_wherever_it_goes",
    ),
    Mutation(  # a subject may show a sensitive field
        "18.2",
        "event.py",
        "if name in cls.__hocket_sensitive__ and not form:",
        "if False:",
        "tests/hocket/test_pseudonym.py::test_a_sensitive_field_in_a_subject_is_refused",
    ),
)


def chosen(rules: Sequence[str]) -> tuple[Mutation, ...]:
    """The breakages of these rules, all where none is named. Raises `Stale` for a rule that has none."""
    known = [each.rule for each in MUTATIONS]
    if unknown := [rule for rule in rules if rule not in known]:
        raise Stale(f"no breakage of {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(each for each in MUTATIONS if not rules or each.rule in rules)
