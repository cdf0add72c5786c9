"""decimal and big integers: digits of pi and e."""
import hashlib
from decimal import Decimal, getcontext

getcontext().prec = 2000
e, term = Decimal(0), Decimal(1)
for i in range(1, 900):
    e += term
    term /= i
print(str(e)[:60], hashlib.sha256(str(e).encode()).hexdigest())


def arctan(n, digits):
    unit = 10 ** (digits + 10)
    total = term = unit // n
    square, k, sign = n * n, 3, -1
    while term:
        term //= square
        total += sign * (term // k)
        k, sign = k + 2, -sign
    return total


pi = 4 * (4 * arctan(5, 3000) - arctan(239, 3000)) // 10 ** 10
print(str(pi)[:60], hashlib.sha256(str(pi).encode()).hexdigest())
