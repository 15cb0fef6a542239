from django.utils.functional import Promise


class UnreadableDocument(Exception):
    """No invoice can be read from these bytes.

    `code` is stable, for programs and tests; `message` tells a clerk what happened and what to do.
    """

    def __init__(self, code: str, message: str | Promise):
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return str(self.message)
