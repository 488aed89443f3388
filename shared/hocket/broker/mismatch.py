"""Error texts for a topology that the broker does not accept: the object, both values, how to resolve it."""


def mismatch(kind: str, name: str, argument: str, wanted: object, existing: object) -> str:
    """The text of a `ConfigError`: `kind` `name` exists on the broker with another value than is declared now."""
    remove = f"rabbitmqctl delete_queue {name}" if kind == "queue" else f"delete exchange {name} on the broker"
    return (
        f"{kind} {name} exists on the broker with {argument} = {existing}, this process declares {wanted}. "
        f"Start with the existing value, or stop all services that use it, let it run empty, remove it "
        f"({remove}) and start again"
    )


def missing(binding: str, absent: str) -> str:
    """The text of a `ConfigError`: a binding names something that does not exist on the broker."""
    return f"binding {binding} cannot be made: {absent} does not exist on the broker; declare it in the same topology"
