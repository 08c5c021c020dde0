from typing import Generic, TypeVar

T = TypeVar("T")


class DataLoader(Generic[T]):
    """One item at a time, in order, in this process."""

    def __init__(self, dataset, collate_fn, **_):
        self.dataset = dataset
        self.collate_fn = collate_fn

    def __iter__(self):
        return (self.collate_fn([item]) for item in self.dataset)
