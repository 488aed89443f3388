"""The sentences about a topology that the broker does not accept: object, both values, the way out."""


def mismatch(kind: str, name: str, argument: str, wanted: object, standing: object) -> str:
    """The text of a `ConfigError`: `kind` `name` stands on the broker with another value than is declared now."""
    remove = f"rabbitmqctl delete_queue {name}" if kind == "queue" else f"delete exchange {name} on the broker"
    return (
        f"{kind} {name} stands on the broker with {argument} = {standing}, this process declares {wanted}. "
        f"Start with the value that stands, or stop everybody who uses it, let it run empty, remove it "
        f"({remove}) and start again"
    )


def missing(binding: str, absent: str) -> str:
    """The text of a `ConfigError`: a binding names something that does not stand on the broker."""
    return f"binding {binding} cannot be made: {absent} does not stand on the broker; declare it in the same topology"
