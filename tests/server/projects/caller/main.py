"""A project whose algorithm calls another one."""

import Algorithmia


def apply(number):
    return Algorithmia.client().algo("local/plain").pipe(number).result + 1
