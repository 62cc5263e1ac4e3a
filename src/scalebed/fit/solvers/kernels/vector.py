"""exp and log that the compiler can spread over the lanes of a vector.

A call into the mathematics library ends vectorisation of the loop around it. These are inlined as
plain arithmetic: reduction of the range, a polynomial and bit operations on the exponent. Fused
multiply-adds are spelled out, because the loops allow sums to be reordered and that must not
undo the reduction of the range.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

# exp(r) = 1 + r + r^2 P(r) for |r| <= log(2) / 2: interpolation of P at the nodes of Chebyshev,
# relative error 1.6e-17.
_EXP_POLYNOMIAL = (
    0.5000000000000001,
    0.16666666666666669,
    0.041666666666623824,
    0.008333333333330039,
    0.0013888888917367081,
    0.00019841269863171557,
    2.4801521057868204e-05,
    2.7557268276905696e-06,
    2.7620201591031547e-07,
    2.5100472505694996e-08,
)
# log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 R(s^2)), s = f / (2 + f): fdlibm's e_log.c (Sun
# Microsystems 1993), whose error is below 1 ulp.
_LOG_POLYNOMIAL = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
_LOG2_E = 1.4426950408889634
# log(2) in two parts, the first with enough zeros at its end that k times it is exact.
_LN2_HIGH, _LN2_LOW = 0.6931471805598903, 5.497923018708371e-14
# Below, the result would not be a normal number: it is 0. Above, it is infinite.
EXP_LOWEST, EXP_HIGHEST = -708.0, 709.0
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD

_DOUBLE, _LONG, _INT = ir.DoubleType(), ir.IntType(64), ir.IntType(32)


def _real(value: float) -> Any:
    return ir.Constant(_DOUBLE, value)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fma(a, b, c)


def _horner(builder: Any, at: Any, coefficients: tuple[float, ...]) -> Any:
    total = _real(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = _fma(builder, total, at, _real(coefficient))
    return total


def _build_exp(builder: Any, x: Any, exact_ends: bool) -> Any:
    small = builder.fcmp_ordered("<", x, _real(EXP_LOWEST))
    large = builder.fcmp_ordered(">", x, _real(EXP_HIGHEST))
    x = builder.select(small, _real(EXP_LOWEST), x)
    x = builder.select(large, _real(EXP_HIGHEST), x)
    rint = builder.module.declare_intrinsic("llvm.rint", [_DOUBLE])
    k = builder.call(rint, [builder.fmul(x, _real(_LOG2_E))])
    r = _fma(builder, k, _real(-_LN2_HIGH), x)
    r = _fma(builder, k, _real(-_LN2_LOW), r)
    tail = _horner(builder, r, _EXP_POLYNOMIAL)
    value = _fma(builder, builder.fmul(r, r), tail, r)
    value = builder.fadd(value, _real(1.0))
    # 32 bits are enough for k and convert on every machine. 2^k by its exponent bits.
    power = builder.sext(builder.fptosi(k, _INT), _LONG)
    bits = builder.shl(builder.add(power, ir.Constant(_LONG, 1023)), ir.Constant(_LONG, 52))
    value = builder.fmul(value, builder.bitcast(bits, _DOUBLE))
    if not exact_ends:
        return value
    value = builder.select(small, _real(0.0), value)
    return builder.select(large, _real(float("inf")), value)


def _build_log(builder: Any, x: Any) -> tuple[Any, Any]:
    """log(x) and 1 / x, which share the one division."""
    bits = builder.bitcast(x, _LONG)
    above = builder.sub(bits, ir.Constant(_LONG, _SQRT_HALF_BITS))
    top = builder.trunc(builder.lshr(above, ir.Constant(_LONG, 32)), _INT)
    power = builder.ashr(top, ir.Constant(_INT, 20))
    k = builder.sitofp(power, _DOUBLE)
    exponent = builder.and_(above, ir.Constant(_LONG, 0xFFF << 52))
    # x / 2^k lies in sqrt(1/2) .. sqrt(2).
    f = builder.fsub(builder.bitcast(builder.sub(bits, exponent), _DOUBLE), _real(1.0))
    middle = builder.fadd(f, _real(2.0))
    shared = builder.fdiv(_real(1.0), builder.fmul(x, middle))
    inverse = builder.fmul(middle, shared)
    s = builder.fmul(f, builder.fmul(x, shared))
    z = builder.fmul(s, s)
    tail = builder.fmul(z, _horner(builder, z, _LOG_POLYNOMIAL))
    half = builder.fmul(builder.fmul(f, f), _real(0.5))
    # f - (half - s (half + tail)) + k log 2
    inner = _fma(builder, s, builder.fadd(half, tail), builder.fmul(k, _real(_LN2_LOW)))
    inner = builder.fsub(half, inner)
    return _fma(builder, k, _real(_LN2_HIGH), builder.fsub(f, inner)), inverse


@intrinsic
def exp(typing_context: Any, x: Any = None) -> Any:
    """e^x: 0 below -708 and infinite above 709, where numbers stop being normal."""
    if x != types.float64:
        return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _build_exp(builder, arguments[0], exact_ends=True)

    return types.float64(types.float64), code


@intrinsic
def exp_clamped(typing_context: Any, x: Any = None) -> Any:
    """e^x with x limited to -708 .. 709, so never 0 and never infinite; faster than `exp`."""
    if x != types.float64:
        return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # LLVM prefers 256 bits for fear of lower clocks; loops of so much arithmetic gain a quarter
        # from 512 where there are any. llvmlite lists the attributes that it knows, LLVM has more.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return _build_exp(builder, arguments[0], exact_ends=False)

    return types.float64(types.float64), code


@intrinsic
def log_inverse(typing_context: Any, x: Any = None) -> Any:
    """log(x) and 1 / x of x in 1e-300 .. 1e300; anything else gives no sensible value."""
    if x != types.float64:
        return None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, signature.return_type, _build_log(builder, arguments[0]))

    return types.UniTuple(types.float64, 2)(types.float64), code
