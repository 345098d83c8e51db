"""Conversion between units of the same quantity. Each unit is a multiple of a base unit."""

from glmdemo.tools import ToolError, tool

QUANTITIES: dict[str, dict[str, float]] = {
    "length": {
        "mm": 0.001,
        "cm": 0.01,
        "m": 1.0,
        "km": 1000.0,
        "inch": 0.0254,
        "foot": 0.3048,
        "mile": 1609.344,
        "里": 500.0,
    },
    "mass": {"g": 0.001, "kg": 1.0, "t": 1000.0, "oz": 0.028349523125, "lb": 0.45359237, "斤": 0.5},
    "volume": {"ml": 0.001, "l": 1.0, "m3": 1000.0, "gallon": 3.785411784},
    "area": {"m2": 1.0, "ha": 10_000.0, "km2": 1e6, "亩": 10_000 / 15},
    "time": {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86_400.0},
    "speed": {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704},
}
TEMPERATURES = ("C", "F", "K")
OTHER_NAMES = {
    "mm": "millimetre millimeter 毫米",
    "cm": "centimetre centimeter 厘米 公分",
    "m": "metre meter 米",
    "km": "kilometre kilometer 千米 公里",
    "inch": "in inches 英寸",
    "foot": "ft feet 英尺",
    "mile": "mi 英里",
    "g": "gram 克",
    "kg": "kilo kilogram 千克 公斤",
    "t": "ton tonne 吨",
    "oz": "ounce 盎司",
    "lb": "pound 磅",
    "ml": "millilitre milliliter 毫升",
    "l": "litre liter 升",
    "m3": "m³ 立方米",
    "gallon": "gal 加仑",
    "m2": "m² 平方米",
    "ha": "hectare 公顷",
    "km2": "km² 平方千米 平方公里",
    "s": "sec second 秒",
    "min": "minute 分钟",
    "h": "hr hour 小时",
    "day": "天",
    "km/h": "kmh kph",
    "C": "°c ℃ celsius 摄氏度",
    "F": "°f ℉ fahrenheit 华氏度",
    "K": "kelvin 开尔文",
}
ABSOLUTE_ZERO = -273.15  # degrees Celsius


@tool
def convert_unit(value: float, source: str, target: str) -> str:
    """Convert a value between units, for example 3 km to mile or 20 C to F."""
    source, target = unit_named(source), unit_named(target)
    if source in TEMPERATURES and target in TEMPERATURES:
        return (
            f"{value:g} {source} = {from_celsius(to_celsius(value, source), target):.6g} {target}"
        )
    for units in QUANTITIES.values():
        if source in units and target in units:
            return f"{value:g} {source} = {value * units[source] / units[target]:.6g} {target}"
    known = "; ".join(", ".join(units) for units in QUANTITIES.values())
    raise ToolError(f"Cannot convert {source!r} to {target!r}. Known units: {known}; C, F, K.")


def unit_named(name: str) -> str:
    """The unit that `name` stands for, singular or plural; what is not known as it is."""
    word = name.strip().lower()
    singular = word.removesuffix("s") if len(word) > 2 else word
    for unit, others in OTHER_NAMES.items():
        if not {word, singular}.isdisjoint((unit.lower(), *others.split())):
            return unit
    return name


def to_celsius(value: float, unit: str) -> float:
    return {"C": value, "F": (value - 32) / 1.8, "K": value + ABSOLUTE_ZERO}[unit]


def from_celsius(value: float, unit: str) -> float:
    return {"C": value, "F": value * 1.8 + 32, "K": value - ABSOLUTE_ZERO}[unit]
