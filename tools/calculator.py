"""Arithmetic without `eval`: the expression's syntax tree is walked, with bounded sizes."""

import ast
import math
import operator
import re
from collections.abc import Callable

from glmdemo.tools import ToolError, tool

MAX_LENGTH = 500  # characters of an expression
MAX_BITS = 4_096  # of a whole number: about 1,200 digits
MAX_ROUNDING = 100  # digits

Number = int | float

TIMES = re.compile(r"(?<=[\d)])(?<!\b0) ?[xX] ?(?=[\d(])")  # 3 x 4, but not 0x10


def rounded(number: Number, digits: int = 0) -> Number:
    """`round`, which for a whole number and -10**9 digits would fill the memory."""
    if abs(digits) > MAX_ROUNDING:
        raise ValueError(f"cannot round to {digits} digits")
    return round(number, digits) if digits else round(number)


CONSTANTS = {"pi": math.pi, "e": math.e}
FUNCTIONS: dict[str, Callable[..., Number]] = {
    "sqrt": math.sqrt,
    "abs": abs,
    "round": rounded,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "log": math.log,
    "ln": math.log,
    "log10": math.log10,
    "exp": math.exp,
}
OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@tool
def calculator(expression: str) -> str:
    """Compute an arithmetic expression such as (3 + 4) * 2 ** 10 or sqrt(2)."""
    text = expression.translate(str.maketrans("×·÷−^（）", "**/-^()")).replace("^", "**")
    text = TIMES.sub("*", text)
    if len(text) > MAX_LENGTH:
        raise ToolError(f"The expression is longer than {MAX_LENGTH} characters.")
    try:
        return format_number(evaluate(ast.parse(text.strip(), mode="eval").body))
    except SyntaxError:
        raise ToolError(f"This is no arithmetic expression: {expression}") from None
    except (ArithmeticError, ValueError, TypeError) as error:
        raise ToolError(f"This cannot be computed: {error}.") from None


def evaluate(node: ast.expr) -> Number:
    """The value of a syntax tree of numbers, operators and the functions above."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return checked(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -evaluate(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return evaluate(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return power(evaluate(left), evaluate(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return checked(OPERATORS[type(op)](evaluate(left), evaluate(right)))
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return checked(FUNCTIONS[name](*map(evaluate, args)))
    raise ValueError(f"{ast.unparse(node)} is not allowed; use numbers, + - * / // % ** and ()")


def power(base: Number, exponent: Number) -> Number:
    """`base ** exponent`, refused before it is computed where it would be too large."""
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and abs(exponent) * int(base).bit_length() > MAX_BITS:
        raise ValueError("the result is too large")
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError("the result is no real number")
    return checked(result)


def checked(number: Number) -> Number:
    """`number`, when it is of a size that can be computed with."""
    too_large = number.bit_length() > MAX_BITS if isinstance(number, int) else math.isinf(number)
    if too_large:
        raise ValueError("a number is too large")
    return number


def format_number(number: Number) -> str:
    """At most 12 digits behind the point, so that 0.1 + 0.2 reads 0.3."""
    return str(number) if isinstance(number, int) else f"{number:.12g}"
