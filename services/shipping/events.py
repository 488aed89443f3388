"""What shipping says, and what it hears of the others."""

from hocket import Event, Heard


class OrderConfirmed(Heard, type="order.confirmed"):
    """An order whose money is held and whose goods are taken: to be shipped."""

    order_id: str
    sku: str
    quantity: int


class OrderCancelled(Heard, type="order.cancelled"):
    """The order came to nothing, said in any flow and at any time: the parcel is to come back."""

    order_id: str
    reason: str


class ParcelShipped(Event, type="parcel.shipped", subject="order/{order_id}"):
    """The carrier has the goods of an order."""

    order_id: str
    parcel_id: str


class ParcelRefused(Event, type="parcel.refused", subject="order/{order_id}"):
    """The goods of an order are not carried, or whatever was booked is being called back."""

    order_id: str
    reason: str


class ParcelRecalled(Event, type="parcel.recalled", subject="order/{order_id}"):
    """The parcel of a failed order is on its way back, or does not go out at all."""

    order_id: str
    recall_id: str
    reason: str


class ParcelDelivered(Event, type="parcel.delivered", subject="order/{order_id}"):
    """The customer has the parcel."""

    order_id: str
    parcel_id: str
