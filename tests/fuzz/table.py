"""The statements that programs are drawn from: one text each, with holes that are filled while drawing.

A row without `=` stands for `v7 = row`. The holes, in the order in which they are filled:

    x, t, w     an array expression; a variable that may be written to; a part of one, as `v3[1:, ::-1]`. What follows fits this first one.
    y, u, s, m  an operand that broadcasts with it (arrays and numbers); into its shape; of its shape; a mask of its shape
    z           any other operand
    new, new2   new variables
    index axis axes perm shape   what fits the shape of the first operand
    places fancy along           integers that name its rows; an index with such arrays; such arrays and the axis that they belong to
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
    np.logical_or({x}, {y}); np.logical_xor({x}, {y}); np.logical_not({x}); np.isnan({x}); np.isinf({x:biuf}); np.isfinite({x:biuf}); np.signbit(np.nan_to_num({x:f}))
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
    np.max({x:c}, axis={axes}); {x:c}.min(axis={axes}, keepdims={keep}); np.argmax({x:c}, {axis})
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
    {t:f}.real[...] = 1; {t}[()] = {n}; {t:c}.real[...] = {u:biuf}; {t:c1}.imag[{index}] += {n}; {t:c}.imag = {n}
    np.add({x:f}, {y:f}, out=np.zeros(np.broadcast_shapes({x}.shape, np.shape({y})))); {new} = {t}.flatten() | {new}[:1] = 1
    {new} = np.squeeze({t:f}) | {new} += 1
    {new} = {t:f}.view() | {new} += 1; {t:iufc} += {t}; {w:iufc}[...] += {w}; np.subtract({t:iufc}, {u:biu}, out={t}, where={m}); {t:f} -= {t}.max()
""", writes=True)  # fmt: skip
rows("writes", 7, """
    {t:iuf1}[...] = {t}.sum(0); np.sum({x:f1}, axis=0, out=np.zeros({x}.shape[1:], 'f8')); np.mean({x:iuf1}, axis=-1, out=np.zeros({x}.shape[:-1], 'f4'))
    {t:f1}[0] = {t}.mean(0); {t:iuf1}[1:] = {t}.sum(0)
""", writes=True, sums=True)  # fmt: skip
rows("gathers", 3, """
    {x:1}[{fancy}]; {x:1}[{fancy}]; {x:1}[{fancy}]; {x:1}[{places}]; np.take({x:1}, {along}); {x:1}.take({along}); {x:1!}.take({places})
    np.take({x:1}, {along}, mode='wrap')
    np.take({x:1!}, {places}, mode='clip'); {x:1}[{places}].T; {x:1}[{places}][::-1]; {x:1}[::-1][{fancy}]; {x:2}.T[{places}]; {x:2}[..., [0, -1, 0]]
    {x:2}[np.arange({x}.shape[0]), 0]; {x:2}[np.arange({x}.shape[0])[:, None], [[0, -1]]]; {x:2}[np.ix_([0, -1], [0])]; {x:1}[{fancy}] + {n}
    np.choose([0, 1, 0], [{x:0}, {n}]); np.choose({x:1!}.astype('i8') * 0, [{x}, {s}])
    {x:2!}[np.triu_indices({x}.shape[0], 0, {x}.shape[1])]; {x:2!}[np.tril_indices({x}.shape[0], -1, {x}.shape[1])]; {x:2!}[np.diag_indices(2)]
    np.compress([True, False, True], {x:1}); np.compress([True, False], {x:1}, axis={axis}); np.delete({x:1}, 0, axis={axis}); np.delete({x:1!}, [0, -1])
    np.delete({x:1}, slice(None, None, 2), axis={axis}); {x:1}[np.array([], int)]; {x:1}[[0, 0, -1]]
    {new} = {t:1}[{fancy}] | {new} += 1; {new} = {t:1}[{fancy}] | {t}[...] = 1
""")  # fmt: skip
rows("gathers", 3, """
    np.take_along_axis({x:iuf1}, np.argsort({x}, axis={axis}, kind='stable'), {axis}); {x:iuf1!}[np.argsort(-{x}, kind='stable')]
    np.take_along_axis({x:iuf1}, {x}.argmax({axis}, keepdims=True), axis={axis}); {x:biuf1!}[{x}.argmin()]; {x:biuf2}[{x}[:, 0].argmax()] + 0
    np.choose({x:biuf} > 0, [{y:biuf}, {n}]); np.choose({x:iu} % 3, [{s}, {n}, {y:biuf}]); np.choose({x:i} % 9 - 4, [{s}, {n}], mode='wrap')
    np.choose({x:i}, [{s}, {n}, 7], mode='clip'); np.unravel_index(abs({x:i1!}) % 6, (2, 3))[1]; np.ravel_multi_index(({x:i} % 2, {x} % 3), (2, 3))
    np.array([3.5, -1, 2.25])[{x:iu} % 3]; np.arange(9, dtype='f4')[{x:iu} % 9]; np.array([1, 2])[({x} == {y}).astype('i8')]
    np.arange(12.0).reshape(3, 4)[{x:iu} % 3, {x} % 4]; np.arange(12).reshape(3, 4)[{x:iu} % 3]; np.arange(12).reshape(3, 4)[:, {x:iu1!} % 4]
""", jumps=True)  # fmt: skip
rows("masked", 2, """
    {x:1}[{m}].sum(); {x:iuf1}[{m}].mean(); ({x:iuf1}[{m}] * 2).sum(); np.sum({x:f1}[{m}] ** 2); {x:iufc1}[~{m}].sum(); ({x:iuf1}[{m}] - {s:iuf}[{m}]).sum()
    {x:2}[{x}[:, 0] == {x}[:, 0]].sum(0)
    np.mean({x:f1}[{m}] * 0.5); np.add.reduce({x:iuf1!}[{m}]); {x:f1}[{m} & ({x} != 2)].sum()
""", sums=True, jumps=True)  # fmt: skip
rows("masked", 2, """
    {x:biuf1}[{m}].max(); {x:biuf1}[{m}].min(); np.max({x:iuf1}[{m}], initial=1); {x:1}[{m}].any(); {x:1}[{m}].all(); np.count_nonzero({x:1}[{m}])
    {x:f1}[np.isfinite({x})].max(); len({x:1!}) + {n}; np.any({x:1}[{m}] == {n}); {x:1!}[np.flatnonzero({m})].any(); {x:iuf1}[np.nonzero({m})].max()
    np.where({m}, {x:1}, 0)[{m}].any(); {x:f1}[{x} > 0].min(); {x:2}[{x}[:, 0] != 0].any(0); np.abs({x:f1}[{m}]).max(); np.ptp({x:f1}[{m}])
""", jumps=True)  # fmt: skip
rows("masked", 2, """
    {t:1}[{m}] = {n}; {t:iufc1}[{m}] += {n}; {t:1}[{m}] = {s}[{m}]; {t:iufc1}[{m}] *= {s:biu}[{m}]; {t:f1}[{t} < 0] = 0; {t:f1}[{t} > 1] -= 1; {t:f1}[{t} > 0] *= 0.5
    {t:1}[~{m}] = {n}; {t:2}[{t}[:, 0] != 0] = {n}; {t:2}[:, {t:1}[0] != 0] = {n}; {t:1}[np.nonzero({m})] = {n}; {t:1!}[np.where({m})[0]] = 1; {t:iuf1}[{m}] -= {u:biu}.sum()
    np.putmask({t}, {m}, {n}); np.putmask({t:f}, {m}, [1, 2, 3.5]); np.place({t:f}, {m}, [1.0, 2.5]); {t:2}[0][{t:1}[0] != 0] = {n}; {t:1}[1:][{t:1}[1:] != 0] = 2
    {t:f1}[{m}] = np.arange({t}.size)[:1]; {t:f1}[np.isnan({t})] = 0; {t:f1}[~np.isfinite({t})] = {n}; {t:iu1}[{t} % 2 == 1] += 1; np.add.at({t:iuf}, {m}, 1)
    {t:f2}[{t:1}[..., 0] > 0, 0] = 1; {t:2}[{m}] = {s}[{m}]; {t:1}[{m}] = {t:1}[{m}]; {t:iufc1}[{m}] += {t:1}[{m}]
""", jumps=True, writes=True)  # fmt: skip
rows("scatters", 3, """
    {t:1}[{fancy}] = {n}; {t:1}[{fancy}] = {u}; {t:1}[{fancy}] = {u}; {t:1}[{places}] = {n}; {t:iufc1}[{fancy}] += {n}; {t:iufc1}[{fancy}] *= 2
    {t:iufc1}[{fancy}] += {u:biu}; {t:iuf1}[{places}] -= {t}[0]; {t:1}[{places}] = {t}[0]; {t:1}[::-1][{fancy}] = {n}; {t:2}.T[{places}] = {n}
    np.put({t:1}, {places}, {n}); np.put({t:1!}, {places}, [1, 0]); {t:1}.put([0, -1], {n}); np.put({t:1!}, [0, 9, -8], 2, mode='clip'); np.put({t:1}, [7, -1], [1, 2], mode='wrap')
    {t:1}[[0, 0, -1]] = {n}; {t:1!}[[0, 0]] = [1, 2]; {t:2}[:, [0, -1]] = {t}[:, [-1, 0]]; {t:2}[[0, -1]] = {t}[[-1, 0]]; {t:2!}[np.diag_indices(2)] = 3
    {t:2}[np.arange({t}.shape[0]), 0] = {n}; np.fill_diagonal({t:2!}, {n}); np.fill_diagonal({t:2!}, [1, 2]); {t:2}[np.ix_([0], [0, -1])] = {n}
    {t:1}[{places}], {new} = {t}[{places}] * 1, {t}[0]; {t:2!}[np.triu_indices({t}.shape[0], 1, {t}.shape[1])] = {n}; {new} = {t:1}[1:] | {new}[[0, -1]] = {n}
    np.maximum.at({t:iuf1}, {places}, {n}); np.subtract.at({t:iu1}, np.s_[{fancy}], 1); np.negative.at({t:iuf1}, {places}); {t:1}.flat[0] = {n}
""", writes=True)  # fmt: skip
rows("scatters", 3, """
    np.add.at({t:iufc1}, {places}, {n}); np.add.at({t:iuf1}, np.s_[{fancy}], {n}); np.add.at({t:iuf1}, {places}, {t}[0].copy())
    np.add.at({t:iuf1}, np.s_[{fancy}], {u:biu})
""", writes=True, sums=True)  # fmt: skip
rows("scatters", 3, """
    np.put_along_axis({t:biuf1}, {t}.argmax({axis}, keepdims=True), {n}, {axis}); {t:biuf1!}[{t}.argmax()] = {n}; {t:biuf1!}[np.argsort({t}, kind='stable')] = {t}.copy()
    {t:iuf1!}[{t}.argmin()] += 1; {t:biuf2}[np.arange({t}.shape[0]), {t}.reshape({t}.shape[0], -1).argmax(1) * 0] = {n}
    {new} = np.zeros(4) | {new}[{x:iu} % 4] = 1; {new} = np.zeros(3, 'i8') | np.add.at({new}, {x:iu} % 3, 1); {new} = np.zeros((3, 2)) | {new}[{x:iu1!} % 3, {x} % 2] = {n}
""", jumps=True, writes=True)  # fmt: skip
rows("sorting", 2, """
    np.sort({x:biuf1}); np.sort({x:biuf1}, axis={axis}); np.sort({x:biuf}, axis=None); np.partition({x:biuf1}, 0, axis={axis}).min({axis})
    np.sort({x:biuf1}, kind='stable')[::-1]; np.sort({x:biuf1!})[{k}:]; np.partition({x:biuf1!}, 1)[1]; np.sort({x:f1!} * {n}); np.sort({x:biuf1}[::-1], axis=0)
    np.sort({x:biuf2}.T, axis=0)
""")  # fmt: skip
rows("sorting", 2, """
    np.argsort({x:biuf1}, kind='stable'); {x:biuf1}.argsort({axis}, kind='stable'); np.argsort({x:1}, axis={axis}, kind='stable'); np.sort_complex({x:iuf1!})
    np.lexsort(({x:biuf1!}, {s:biuf})); np.argpartition({x:biuf1!}, 0)[0] * 0; np.sort({x:c1}); np.argsort(np.argsort({x:biuf1!}, kind='stable'))
    np.searchsorted(np.sort({x:biuf1!}), {z:biuf}); np.searchsorted(np.sort({x:f1!}), {z:f}, side='right'); np.digitize({x:iuf}, [-1, 0, 2.5])
    np.digitize({x:f}, [2, 0, -1.0], right=True); np.bincount({x:iu1!} % 5, minlength=7); np.bincount({x:iu1!} % 3, minlength=3); np.isin({x:iuf}, [1, 0, -0.5])
    np.histogram({x:biuf}, bins=4, range=(-2, 2))[0]; np.histogram({x:biuf}, [-3.0, -1, 0, 5])[0]; np.isin({x:iu}, {z:iu}); np.searchsorted([-1, 0, 2], {x:iuf})
    np.nanargmax({x:iuf1!}); np.nanargmin({x:f1}, axis={axis}); np.array_equal({x}, {s})
""", jumps=True)  # fmt: skip
rows("sorting", 2, """
    {t:biuf1}.sort(); {t:biuf2}.T.sort(); {t:biuf1}[::-1].sort(); {t:biuf1}[...] = np.sort({t}); {new} = {t:biuf1!} | {new}.sort()
""", writes=True)  # fmt: skip
rows("scans", 2, """
    np.cumsum({x}); {x:1}.cumsum({axis}); np.cumsum({x:1}, axis={axis}); np.add.accumulate({x:iufc1}, axis={axis}); np.cumsum({x:biuf1}, axis={axis}, dtype='f8')
    np.nancumsum({x:iuf}); np.cumsum({x:biuf1}[::-1], axis=0)[::-1]; np.diff(np.cumsum({x:iuf1!})); np.cumulative_sum({x:iuf1!}) if hasattr(np, 'cumulative_sum') else {x:f}
    np.subtract.accumulate({x:iuf1!}); np.ediff1d({x:iuf1})
""", sums=True)  # fmt: skip
rows("scans", 2, """
    np.cumprod({x:f1}, axis={axis}); np.cumprod({x:iuf}); np.multiply.accumulate({x:iu1}, axis={axis}); np.add.reduceat({x:iuf1!}, [0, 1])
    np.trapezoid({x:iuf1}); np.trapezoid({x:f1}, axis={axis}); np.gradient({x:iuf1!}); np.gradient({x:iuf1!}, 2.0); np.gradient({x:f2}, axis={axis}); np.gradient({x:f2!})[1]
    np.convolve({x:iuf1!}, [1, 2, 0.5]); np.convolve({x:f1!}, {z:f1!}, 'same'); np.correlate({x:f1!}, {s:f}, 'full'); np.polyval([1, 2, 0.5], {x:f}); np.polyval({x:f1!}, {n})
    np.unwrap({x:f1!}); np.vander({x:f1!}, 3)
""", rounds=True)  # fmt: skip
rows("scans", 2, """
    np.maximum.accumulate({x:biuf1}, axis={axis}); np.minimum.accumulate({x:biuf1!}); np.logical_or.accumulate({x:b1!}); np.bitwise_xor.accumulate({x:iu1}, axis={axis})
    np.fmax.accumulate({x:f1!})
""")  # fmt: skip
rows("statistics", 2, """
    {x:iuf1}[{x} == {x}].var(); np.median({x:iuf}); np.median({x:iuf1}, axis={axis}); np.quantile({x:f1}, 0.25, axis={axis}); np.percentile({x:iuf1}, [10, 50, 99]); np.quantile({x:f}, [0, 0.5, 1])
    np.median({x:f1}, axis={axis}, keepdims={keep}); np.percentile({x:f1!}, 40, method='linear'); np.nanmean({x:f}, axis={axes}); np.nanvar({x:f1}, axis={axis})
    np.nanstd({x:f}); np.nanmedian({x:f1!}); np.nanmean({x:iuf}); np.average({x:iuf1}, axis={axis}); np.average({x:f1!}, weights=abs({s:f}) + 1); np.cov({x:f2!}); np.cov({x:f1!}, {s:f})
    np.corrcoef({x:f2!} + 0.5); np.interp({x:f}, [-1, 0, 2.0], [3, 1, 2.5]); np.interp({x:f}, np.arange(3.0), [1, 2, {n}], left={n}); np.nanpercentile({x:f1!}, 30)
    np.sinc({x:f}); np.nanquantile({x:f1!}, 0.5)
""", rounds=True)  # fmt: skip
rows("statistics", 2, """
    np.quantile({x:iuf1!}, 0.5, method='lower'); np.quantile({x:iuf1!}, 0.7, method='nearest'); np.percentile({x:iuf1!}, 30, method='higher')
""", jumps=True)  # fmt: skip
rows("statistics", 2, """
    np.nanmax({x:iuf}, axis={axes}); np.nanmin({x:f}, axis={axes}, keepdims={keep}); np.nanmax({x:f1!}); np.nanmin({x:f})
""")  # fmt: skip
rows("linalg", 2, """
    np.linalg.inv(steady({x:f2})); np.linalg.solve(steady({x:f2!}), {x}); np.linalg.solve(steady({x:f2}), {x}[..., :1]); np.linalg.det(steady({x:f2}))
    np.linalg.slogdet(steady({x:f2}))[1]; np.linalg.cholesky(steady({x:f2})); np.linalg.eigvalsh(steady({x:f2})); rebuilt(steady({x:f2!})); np.linalg.norm({x:f2!})
    np.linalg.svd(steady({x:f2}), compute_uv=False); {new}, {new2} = np.linalg.qr(steady({x:f2!})); np.linalg.matrix_power(steady({x:f2!}) / 20, 3)
    np.linalg.pinv(steady({x:f2!})); np.linalg.cond(steady({x:f2!})); np.linalg.lstsq(steady({x:f2!}), {x})[0]; np.linalg.multi_dot([{x:f2!}, {x}.T, {x}])
    np.linalg.norm({x:f2}, axis={axis}); np.linalg.norm({x:f2!}, 'fro'); np.linalg.norm({x:f1!}, 1); np.linalg.inv(steady({x:f2!})) @ {x}
    np.linalg.solve(steady({x:f2!}).T, {x}[:, 0]); np.linalg.det(np.eye({n}) * 2) * {z:0!}; np.linalg.tensorinv(steady({x:f2!}), 1); np.linalg.matrix_norm({x:f2})
""", rounds=True)  # fmt: skip
rows("linalg", 2, """
    np.fft.fft({x:biufc1}); np.fft.ifft({x:fc1}, axis={axis}); np.fft.rfft({x:iuf1}); np.fft.irfft({x:fc1}); np.fft.fft({x:fc1}, 4); np.fft.fft2({x:fc2}); np.fft.fftn({x:f})
    np.fft.ifft(np.fft.fft({x:f1})).real; np.fft.irfft(np.fft.rfft({x:f1}), {x}.shape[-1]); np.fft.fft({x:f1}, axis={axis}, norm='ortho'); np.fft.rfft({x:f1!}, 5)
    np.fft.ifft2({x:f2}); np.fft.hfft({x:c1}); np.abs(np.fft.rfft({x:f1!})) ** 2; np.fft.rfftn({x:f2!}); np.fft.irfft2({x:c2!})
    np.fft.fftshift(np.fft.fft({x:fc1!})); np.einsum('ij,jk,kl->il', tame({x:f2!}), tame({x}.T), tame({x}))
""", rounds=True)  # fmt: skip
rows("contractions", 2, """
    np.einsum('ij,kj->ik', {x:f2!}, {x}); np.einsum('i,i->', {x:iuf1!}, {s:iuf}); np.einsum('ij->j', {x:iufc2!}); np.einsum('...i,...i', {x:iuf1}, {s:iuf})
    np.einsum('i,j->ij', {x:iuf1!}, {z:iuf1!}); np.einsum('ij,j', {x:iuf2!}, {x}[0]); np.einsum('ijk->k', {x:f3!}); np.einsum('ii', {x:iuf2!}[:1, :1])
    np.einsum('ii->i', {x:biuf1!}[:, None] * {x}); np.einsum('ij,ij->i', {x:f2!}, {s:f}); np.einsum('bij,bjk->bik', {x:f3!}, {x}.transpose(0, 2, 1)); np.einsum('ij,ij', {x:f2!}, {s:f})
    np.einsum('i...,i...->...', {x:f1}, {s:f}); np.einsum({x:f2!}, [0, 1], [1, 0])
    np.cross({x:f1!}[:3], {s:f}[:3]); np.cross({x:iuf2}[..., :3], [1, 0, 2]); np.convolve({x:iu1!}, [1, 0, 2]); np.kron({x:iuf1!}, [1, 2]); np.kron({x:f2!}, np.eye(2))
    np.trace({x:2}); {x:2}.trace({k}); np.trace({x:2}, {k}); np.linalg.trace({x:f2}); np.bincount({x:iu1!} % 3, weights=abs({s:f}).ravel(), minlength=3); {x:f1!} @ {s:f}
    np.lib.stride_tricks.sliding_window_view({x:f1!}, 2).sum(-1); np.lib.stride_tricks.sliding_window_view({x:iuf1!}, 3) @ [1, 2, 1]
    np.histogram({x:f}, 3, range=(-2, 2), weights={s:f})[0]; np.apply_along_axis(np.sum, {axis}, {x:iuf1}); np.matvec({x:f2!}, {x}[0]) if hasattr(np, 'matvec') else {x:f}
""", sums=True)  # fmt: skip
rows("arranging", 3, """
    np.tril({x:2}); np.triu({x:2}, {k}); np.tril({x:2!}, {k}); np.diag({x:1!}); np.diag({x:2!}) + 0; np.diag({x:1!}, {k}); np.diag({x:2!}, {k}) * 1; np.diagonal({x:2}) * 1; {x:2}.diagonal({k}) + 0
    np.diagflat({x}); np.insert({x:1!}, 1, {n}); np.insert({x:1}, 0, {n}, axis={axis}); np.insert({x:1!}, [0, -1], [1, 2]); np.append({x}, {z}); np.append({x:1}, {s}, axis={axis})
    np.block([{x}, {s}]); np.block([[{x:2!}, {s}], [{s}, {x}]]); np.meshgrid({x:1!}, [1, 2])[0]; np.meshgrid({x:1!}, {z:1!}, indexing='ij')[1]; np.select([{m}], [{x}], {n})
    np.select([{m}, {x:biuf} == {x}], [{x}, 2 * {x}], default={n}); np.piecewise({x:f}, [{m}], [1, 0]); np.piecewise({x:f}, [{m}, ~{m}], [lambda a: 2 * a, -1])
    np.lib.stride_tricks.sliding_window_view({x:1}, 2, axis={axis}); np.lib.stride_tricks.sliding_window_view({x:1!}, 2).max(1); np.rollaxis({x:2}, 1); np.resize({x}, (2, 3))
    np.roll({x:2}, (1, {k}), (0, 1)); np.vsplit({x:2}, [1])[0]; np.hsplit({x:2}, [1])[1]; np.unstack({x:1})[0] if hasattr(np, 'unstack') else {x}
    np.tri({n}, 3) * {z:0!}; np.flip({x:2}, (0, 1)); np.array_split({x:1}, 3, axis={axis})[1]; np.stack([*{x:1}]) if {x}.size else {x}
    np.vstack(({x:1!}, {s}, {n} * {x})); np.ascontiguousarray({x:2}.T); {x:1}.repeat(2, {axis})
    np.concatenate([{x:1}[:1], {s}[1:]]); np.matrix_transpose({x:2}); np.permute_dims({x:2}, {perm}); np.concat([{x:1}, {s}]); np.asfortranarray({x:2}); np.round({x:iu}, 1)
""")  # fmt: skip
rows("arranging", 3, """
    np.select([{x:biuf} > 0, {x} < -1], [{x}, {n}], 2); np.piecewise({x:f}, [{x} < 0, {x} >= 1], [lambda a: -a, lambda a: a * 2, 0.5]); np.extract({m}, {x:f}).any()
""", jumps=True)  # fmt: skip
rows("made", 2, """
    {new} = np.arange({n} + 3) | {new}[::2] += {n}; {new} = np.arange(6, dtype={dtype}) | {new}[1:] = 1; {new} = np.linspace(0, 2, 5) | {new}[0] = {z:iuf0!}
    {new} = np.eye(3) | {new}[0] += {z:iuf0!}; {new} = np.eye(2, 3, {k}) | {new}[:, 0] = {n}; {new} = np.indices((2, 3)) | {new}[0] += 1; {new} = np.identity(2) | {new} *= {z:iuf0!}
    {new} = np.tri(3) | {new}[{n} % 3] = {z:iuf0!}; {new} = np.zeros_like({x:iuf}) | {new} += {x}; {new} = np.arange(4.0) | {new}[[0, 2]] = {z:iuf0!}; {new} = np.ones((2, 1)) * 1
    {new} = np.diag([1.0, 2, 3]) | {new}[0, 1] = {z:iuf0!}; {new} = np.array([1, 2, 3]) | {new}[0] = {n}; {new} = np.full(3, {z:0!}) | {new}[1:] *= 0
    {new} = [] | for k in range(3): |     {new}.append({x:iuf} * k) | {new} = np.stack({new}); {new} = np.empty((2, *{x:iuf}.shape)) | for k in range(2): | {new}[k] = {x} + k
    {new} = np.zeros(4) | {new}[1:3] = {z:iuf0!} | {new}[{new} > 0] += 1; {new} = np.meshgrid(np.arange(2), np.arange(3))[0] | {new} += 1; np.mgrid[0:2, 0:3][1] * {z:0!}; np.ogrid[0:3] + {z:0!}
""")  # fmt: skip
