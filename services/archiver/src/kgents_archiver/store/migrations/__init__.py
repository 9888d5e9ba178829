"""The changes of the tables, in the order of their numbers. One that was released is never edited."""
