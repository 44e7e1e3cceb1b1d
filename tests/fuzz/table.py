"""The statements that programs are drawn from: one text each, with holes that are filled while drawing.

A row without `=` stands for `v7 = row`. The holes, in the order in which they are filled:

    x, t, w     an array expression; a variable that may be written to; a part of one, as `v3[1:, ::-1]`. What follows fits this first one.
    y, u, s, m  an operand that broadcasts with it (arrays and numbers); into its shape; of its shape; a mask of its shape
    z           any other operand
    new, new2   new variables
    index axis axes perm shape   what fits the shape of the first operand
    keep n k number dtype extents   True or False; 0 to 3; -3 to 3; a Python number; a dtype's name; a new shape

After a colon stand the kinds of dtypes that the hole takes (those of the group by default), and the least number of axes (`{x:f2}`), or with `!` the
very number. A group's facts: `rounds`, the results may differ in the last digits; `sums`, they do so unless every sum of the operands is exact;
`jumps`, small errors of operands may change the result much, so operands are exact; `writes`, the first operand is written to.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    text: str
    group: str
    kinds: str = "biufc"
    rounds: bool = False
    sums: bool = False
    jumps: bool = False
    writes: bool = False
    weight: int = 1


GROUPS: dict[str, tuple[int, list[Row]]] = {}


def rows(group: str, weight: int, text: str, **facts: object) -> None:
    """Adds rows, which stand on lines or between semicolons; a `|` is a line of a statement of several."""
    parts = [part.strip() for line in text.strip().splitlines() for part in line.split(";")]
    made = [
        Row(part.replace(": | ", ":\n    ").replace(" | ", "\n"), group, **facts)  # type: ignore[arg-type]
        for part in parts
        if part
    ]
    known = GROUPS.get(group, (weight, []))[1]
    GROUPS[group] = weight, [*known, *made]


rows("elementwise", 6, """
    {x} + {y}; {x:biuf} * {y:biuf}; np.add({x}, {y}); np.multiply({y:biuf}, {x:biuf}); np.where({m}, {x}, {y}); np.where({m}, {y}, {x}); np.positive({x:iufc})
    -{x:iufc}; {x:iufc} - {y:iufc}; np.subtract({y:iufc}, {x:iufc}); np.square({x:iuf}); {x:iuf} ** 2; np.conjugate({x:iufc}); {x}.real; {x}.imag
    np.real({x})
    np.add({x:biuf}, {y:biuf}, dtype='f8'); {x:iu} & {y:biu}; np.bitwise_or({x:biu}, {y:biu}); {x:biu} ^ {y:biu}; ~{x:biu}; {x:iu} << {n}; {x:iu} >> {n}
    np.bitwise_count({x:iu}); np.gcd({x:iu}, {y:iu}); {x:iu} ** {n}; np.left_shift({x:u}, {n}); np.invert({x:biu}); abs({x:biuf}); np.absolute({x:biuf})
    np.maximum({x:biuf}, {y:biuf}); np.minimum({y:biuf}, {x:biuf}); np.fmax({x:biuf}, {y:biuf}); np.fmin({x:biuf}, {y:biuf})
    np.clip({x:iuf}, {n}, 3); np.clip({x:iuf}, None, {y:iuf}); {x:iuf}.clip({n}); np.fabs({x:f}); {x:biuf} / 2; {x:f} * 0.5; {x:biuf} / ({y:f} + 100)
    {x:biuf} + 1; {x:biuf} * True; 1 - {x:iuf}; np.float32(2) * {x:biuf}; {x:biuf} + np.int8(1); np.float64(0.5) * {x}; {x:biuf} * 1j; np.copysign({x:f}, -1)
    {x:biuf}.astype({dtype}); np.astype({x:biuf}, {dtype}); {x:f}.astype('f4'); {x:biuf}.astype('c8'); {x}.copy(); np.copy({x}); np.isrealobj({x})
    {x:iuf} + SCALE; np.nextafter({x:f}, {number}); np.spacing({x:f}); np.ldexp({x:f}, {n}); {new}, {new2} = np.frexp({x:f}); {new}, {new2} = np.modf({x:f})
    np.zeros_like({x}) + {y}; np.full_like({x}, {n}); np.ones_like({x}); np.zeros_like({x:biuf}, dtype={dtype}); doubled({x:iufc}); Holder({x}).added({y})
    np.nan_to_num({x:biuf}); np.sqrt(abs({x:f})); np.reciprocal({x:f} * {x:f} + 1); np.deg2rad({x:f}); np.real({x:c}) + np.imag({x:c}); {x} * np.ndim({z})
""")  # fmt: skip
rows("jumps", 2, """
    {x:biuf} > {y:biuf}; {x:biuf} <= {y:biuf}; {x} == {y}; {x} != {y}; {x:biuf} < 1; np.greater_equal({x:biuf}, {y:biuf}); np.logical_and({x}, {y})
    np.logical_or({x}, {y}); np.logical_xor({x}, {y}); np.logical_not({x}); np.isnan({x}); np.isinf({x:biuf}); np.isfinite({x:biuf}); np.signbit({x:f})
    np.floor({x:biuf}); np.ceil({x:biuf}); np.trunc({x:biuf}); np.rint({x:f}); np.fix({x:f}); np.round({x:f}); np.sign({x:iuf}); {x:iuf} // 2; {x:iuf} % 3
    {x:iu} // {y:iu}; {x:iu} % {y:iu}; {x:f} // {y:f}; {x:f} % {y:f}; np.fmod({x:iuf}, {y:iuf}); np.remainder({x:iuf}, 0.75); {x}.astype(bool)
    np.heaviside({x:f}, 0.5); np.isclose({x:f}, {y:f}); {new}, {new2} = divmod({x:iu}, {y:iu}); {new}, {new2} = np.divmod({x:f}, 0.5)
    np.where({x:biuf} > {y:biuf}, {x:biuf}, 0); {x:f} / {y:f}; {x:iu} / {y:iu}; np.round({x:iu}, -1); {x}.astype('i4'); {x}.astype('u1'); np.round({x:f}, 1)
    {x:f} * {y:f} > {z:f0!}
""", jumps=True)  # fmt: skip
rows("rounding", 2, """
    np.exp({x:f}); np.exp(-abs({x:f})); np.tanh({x:f}); np.sin({x:biuf}); np.cos({x:f}); np.log({x:biuf}); np.log1p(abs({x:f})); np.cbrt({x:f})
    np.expm1({x:f})
    np.exp2({x:f}); np.arctan({x:f}); np.arcsinh({x:f}); np.hypot({x:f}, {y:f}); np.logaddexp({x:f}, {y:f}); {x:f} ** 3; {x:f} ** 4; {x:f} ** 0.5
    abs({x:f}) ** 1.5; np.float_power({x:f} * {x:f} + 1, {n}); np.arctan2({x:f}, {y:f} + 0.3); np.power(2.0, {x:f}); abs({x:c}); {x:c} / ({y:f} + 10)
    {x:c} * {y:c}; np.rad2deg({x:f}); np.sinh({x:f}); np.log2(abs({x:f}) + 1); np.sqrt({x:f}); np.angle({x:c}); np.square({x:c}); 1 / ({x:c} + 20)
    np.exp({x:iu} % 5)
""", rounds=True)  # fmt: skip
rows("reductions", 4, """
    {x}.sum(); {x}.sum({axes}); {x}.sum(axis={axes}, keepdims={keep}); np.sum({x}, {axis}); np.add.reduce({x}); {x:biuf}.sum({axes}, dtype='f8')
    {x:biu}.sum(dtype='i4')
    {x:iuf}.mean({axes}); {x:biuf}.mean(axis={axes}, keepdims={keep}); np.sum({x}, axis={axes}, where={m}); np.sum({x}, axis={axes}, initial=2)
    np.mean({x:biuf}, where={m}); np.add.reduce({x}, axis={axes}, keepdims={keep}); np.nansum({x:iuf}, {axes})
""", sums=True)  # fmt: skip
rows("reductions", 4, """
    {x:iuf}.prod({axes}); np.prod({x:iufc}, axis={axes}, keepdims={keep}); {x:biuf}.var({axes}); {x:iuf}.std(axis={axes}, keepdims={keep})
    np.var({x:f}, ddof={n})
    np.linalg.norm({x:f}); np.multiply.reduce({x:f1}, axis={axis}); np.nanprod({x:iuf}); {x:c}.var(); {x:c}.mean({axes}); np.linalg.norm({x:f2!}, axis={axis})
""", rounds=True)  # fmt: skip
rows("reductions", 4, """
    {x:biuf}.max({axes}); {x:biuf}.min(axis={axes}, keepdims={keep}); np.max({x:biuf}, {axis}); np.max({x:iuf}, axis={axes}, initial=1)
    np.min({x:f}, axis={axes}, where={m}, initial=9); np.ptp({x:iuf}, {axis}); np.maximum.reduce({x:biuf1}, axis={axis}); np.fmax.reduce({x:f1})
    np.bitwise_xor.reduce({x:iu1}, axis={axis})
    np.bitwise_and.reduce({x:iu1}, axis={axes}); np.bitwise_or.reduce({x:iu}, axis=None); np.amax({x:biuf}); np.fmin.reduce({x:f1}, axis={axis})
""")  # fmt: skip
rows("choices", 1, """
    {x:biuf}.argmax({axis}); np.argmin({x:biuf}, axis={axis}, keepdims={keep}); {x:biuf}.argmax(); {x}.any({axes}); {x}.all(axis={axes}, keepdims={keep})
    np.count_nonzero({x}, axis={axes}); np.count_nonzero({x}); np.any({x}, axis={axes}, where={m}); np.logical_and.reduce({x}, axis={axes})
    ({x:biuf} > {n}).sum({axes})
    np.mean({x:biuf} > 0); np.any({x}); np.all({x} == {y})
""", jumps=True)  # fmt: skip
rows("views", 4, """
    {x}.T; {x:1}[{index}]; {x:1}[{index}]; {x:2}.transpose({perm}); {x}.reshape({shape}); {x}.reshape(-1); np.reshape({x}, {shape}); {x}.ravel()
    np.ravel({x}); {x}.flatten()
    {x:2}.swapaxes(0, -1); np.moveaxis({x:2}, 0, -1); np.expand_dims({x}, 0); {x}[None]; {x}[..., None]; np.squeeze({x}); {x}.squeeze(); np.flip({x})
    np.flip({x:1}, {axis})
    np.fliplr({x:2}); np.flipud({x:1}); np.rot90({x:2}, {n}); np.atleast_1d({x}); np.atleast_2d({x}); np.atleast_3d({x}); {x:1}[::-1]; {x:2}[:, ::-2]
    {x:1}[1:]
    {new} = {t}; {new} = {t:1}[{index}]; {new} = {t:2}.T; {new} = {t}.reshape({shape}); {x:2}.mT; np.broadcast_to({x}, (2, *{x}.shape)); {x}[...]; {x:1}[1:-1]
    np.broadcast_arrays({x}, {y})[0] + 0
""")  # fmt: skip
rows("joining", 2, """
    np.concatenate([{x:1}, {x:1}]); np.concatenate([{x:1}, {s}], axis={axis}); np.concatenate(({x}, {z}), axis=None); np.stack([{x}, {s}])
    np.stack([{x}, {s}], axis=-1); np.vstack([{x}, {s}])
    np.hstack([{x:1}, {s}]); np.dstack([{x}, {s}]); np.column_stack([{x:1}, {s}]); np.split({x:1}, [1, 2])[1]; np.array_split({x:1}, 2)[{keep}]
    np.tile({x}, 2); np.tile({x}, (2, 1))
    np.repeat({x}, {n}); np.repeat({x:1}, 2, axis={axis}); np.roll({x:1}, {k}); np.roll({x:1}, {k}, axis={axis}); np.pad({x}, 1)
    np.pad({x:1}, 1, mode='edge'); np.pad({x:1}, (1, 2), mode='wrap')
    np.pad({x:1}, 1, mode='reflect'); np.pad({x:1}, (2, 0), mode='symmetric'); np.pad({x:iuf1}, 1, constant_values={n}); np.diff({x:iuf1})
    np.diff({x:1}, axis={axis}); np.diff({x:iuf1}, n=2)
    np.array([{x}, {s}]); np.stack([{x}, {x}, {s}], {axis}); pairs({x:iufc})
""")  # fmt: skip
rows("products", 1, """
    {x:iuf2} @ {x:iuf2}.swapaxes(-1, -2); {x:iuf1!} @ {x:iuf1!}; np.dot({x:f2!}, {x:f2!}.T); np.inner({x:iuf1!}, {s:iuf}); np.outer({x:iuf1!}, {z:iuf})
    np.vdot({x:f}, {s:f}); np.dot({x:f}, 2)
    np.tensordot({x:f2!}, {x:f2!}, 2); np.tensordot({x:f2!}, {x:f2!}.T, 1); np.matmul({x:f2}, {x:f2}[..., 0]); np.inner({x:f2!}, {x:f2!})
    np.add.outer({x:1!}, {z:1!})
    np.multiply.outer({x:iuf}, {z:iuf1!}); np.vecdot({x:f1}, {s:f}); {x:c} * {y}; np.square({x:c}); {x:c} ** 2
""", sums=True)  # fmt: skip
rows("creation", 2, """
    np.zeros({extents}, {dtype}) + {z}; np.ones({extents}) * {z}; np.full({extents}, {z:0!}); np.eye({n}) * {z:0!}; np.arange({n}) + {z:0!}
    np.arange(2, 7, dtype={dtype}) + {z:0!}
    np.array([[{z:0!}, 1], [2, {z:0!}]]); np.array([{x}, {x}]); np.asarray({x}); np.array({x}); np.array({x}, ndmin=3); np.linspace(0, 1, 5) * {z:f0!}
    np.array([1, 2, 3]) * {z:0!}
    {new} = np.zeros({extents}, {dtype}); {new} = np.ones({extents}); {new} = np.empty({extents}) | {new}[...] = 1; {new} = np.full({extents}, 2, {dtype})
    {new} = np.zeros_like({x}) | {new} += {n}
    {new} = np.empty_like({x}) | {new}[:] = {x}; {new} = np.zeros({x}.shape, {x}.dtype) | {new}[...] = {x}; filled_like({x}, 2)
    {new} = np.arange(6.0).reshape(2, 3); np.identity(3) + {z:0!}
""")  # fmt: skip
rows("writes", 7, """
    {w}[...] = {u}; {t:1}[{index}] = {u}; {t:iufc} += {u:biu}; {t:f} += {u:biuf}; {t:iufc} *= {u:biu}; {t:iuf} -= {n}; {w:f}[...] *= {u:biuf}
    {w:iufc}[...] += {u:biu}; {t:1}[{index}] = {n}
    {t:f}[...] /= {u:biuf} * 0 + 2; {t}.fill({n}); np.copyto({w}, {n}); np.copyto({t}, {n}, where={m}); {t}[{m}] = {n}; np.add({t:iufc}, {n}, out={t})
    np.multiply({w:f}, 0.5, out={t})
    {t:biu} |= {u:b}; {t:iu} <<= 1; {t:iu} &= 3; {t:iu} ^= {u:biu}; {t:f} **= 2; np.negative({t:iufc}, out={t}); np.maximum({t:biuf}, {u:b}, out={t})
    {t:f1}[{index}] += {number}
    {t:iufc1}[1:] += {t}[:-1]; {t:iufc1}[:-1] = {t}[1:]; {t:1}[::-1] = {t}; {t:1}[1:] = {t}[:-1]; {t:2}[0] = {t}[-1]; {t:iufc1}[::2] *= 2
    bump({t:iufc}, {n}); {new} = bump({t:iufc}, 1)
    for r in {t:iufc1}: | r *= 2
    for k in range({t:iufc1}.shape[0]): | {t}[k] += k
    {t:1}[{index}], {new} = {t}[{index}].copy(), {t}[{index}]
    {new} = {t:1}[{index}] | {new}[...] = {n}; {new} = {t:2}.T | {new}[...] += {t:2}.T; {new} = {t:iufc}.reshape(-1) | {new} += 1
    {new} = {t:iufc}.ravel() | {new} *= 2; {new} = {t} | {new} += {u:b}
    {t:iufc1}[-1] -= {t}[0]; {t:2}[:, 0] = {n}; {t:1}[...] = {t}[::-1]; {t:iuf1}[1:-1] = 2 * {t}[1:-1]; np.copyto({t}, {t}[::-1] if {t}.ndim else 1)
    {t:f}.real[...] = 1; {t}[()] = {n}
    np.add({x:f}, {y:f}, out=np.zeros(np.broadcast_shapes({x}.shape, np.shape({y})))); {new} = {t}.flatten() | {new}[:1] = 1
    {new} = np.squeeze({t:f}) | {new} += 1
    {new} = {t:f}.view() | {new} += 1; {t:iufc} += {t}; {w:iufc}[...] += {w}; np.subtract({t:iufc}, {u:biu}, out={t}, where={m}); {t:f} -= {t}.max()
""", writes=True)  # fmt: skip
rows("writes", 7, """
    {t:iuf1}[...] = {t}.sum(0); np.sum({x:f1}, axis=0, out=np.zeros({x}.shape[1:], 'f8')); np.mean({x:iuf1}, axis=-1, out=np.zeros({x}.shape[:-1], 'f4'))
    {t:f1}[0] = {t}.mean(0); {t:iuf1}[1:] -= {t}.sum(0)
""", writes=True, sums=True)  # fmt: skip
