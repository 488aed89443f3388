"""What customers post: orders and leads, told apart by their number. Pure."""

#: Different goods in the shop.
GOODS = 12
#: Campaigns of leads, most pieces of one order, different prices: all of them in turn.
CAMPAIGNS, MOST_PIECES, PRICES = 4, 3, 1_000
#: How cards and goods begin that the outside world takes, and those that it refuses.
CARD, SKU = "card", "sku"
DECLINED_CARD, SOLD_OUT_SKU, REFUSED_SKU = "declined", "sold-out", "too-big"


def customer(number: int) -> str:
    """The address of the customer of order `number`."""
    return f"customer{number:04}@example.com"


def interested(number: int) -> str:
    """The address of lead `number`."""
    return f"lead{number:04}@example.com"


def card_of(number: int, card: str = CARD) -> str:
    """The card that pays order `number`."""
    return f"{card}-{number:04}"


def order(number: int, *, card: str = CARD, sku: str = SKU) -> dict[str, object]:
    """What is posted as order `number`, with a card and goods of these sorts."""
    return {
        "customer": f"Customer {number}",
        "email": customer(number),
        "card": card_of(number, card),
        "sku": f"{sku}-{number % GOODS}",
        "quantity": 1 + number % MOST_PIECES,
        "total_cents": 1000 + 137 * (number % PRICES),
    }


def lead(number: int) -> dict[str, object]:
    """What is posted as lead `number`."""
    return {"email": interested(number), "campaign": f"campaign {number % CAMPAIGNS}"}
