"""What the fuzzer has found, cut down by hand: arguments, statements and result, with `|` between them."""

from __future__ import annotations

from tests.fuzz.program import Program, Statement

TEXT = """
x0 = array('f4', (7,)) | v1 = x0.view(); v1 += 1 | x0
x0 = scalar('u8') | v1 = x0.imag | v1
x0 = scalar('f8') | v1 = x0.reshape(-1); v1 += 1 | x0, v1
x0 = scalar('f8') | v1 = x0[None]; v1 += 1; v2 = np.atleast_1d(x0); v2 *= 3 | x0, v1, v2
x0 = array('f8', (3, 4)) | v1 = np.mean(x0); v2 = np.asarray(v1); np.copyto(v2, 3) | v1, v2
x0 = array('f8', (3, 4)) | v1 = np.mean(x0); v2 = np.atleast_1d(v1); v3 = bump(v2, 1) | v1, v2, v3
x0 = array('u4', (), 5) | v1 = np.rint(x0.astype('f8')); v2 = v1.reshape(-1); v3 = np.asarray(v2); v3 += 3; v4 = np.squeeze(v1) | v1, v3, v4
x0 = array('u2', (), 78) | v1 = np.add.reduce(x0) | v1
x0 = array('f8', (1,)) | v1 = np.fmin.reduce(x0); v2 = np.fmax.reduce(x0) | v1, v2
x0 = array('u8', (1, 3)) | v1 = np.bitwise_xor.reduce(x0, axis=0) | v1
x0 = array('f4', (5, 1)) | v1 = np.dot(x0, 2); v2 = np.inner(x0, 0.5) | v1, v2
x0 = array('f2', (3, 4)) | v1 = np.dot(x0.sum(), 2) | v1
x0 = array('u1', (7,), 69) | v1 = np.ravel(x0[::-2, None]); v1 += 1 | v1, x0
x0 = array('u2', (4,), 67, 'tame', 'strided') | v1 = x0.ravel(); v1 *= 2 | x0
x0 = array('f8', (3, 4)) | v1 = x0.T + 1; v2 = v1.ravel(); v2 += 1 | v1, v2
x0 = array('f8', (3, 4)) | v1 = x0.T + 1; v2 = v1.reshape(2, 6); v2 += 1 | v1, v2
x0 = array('f8', (2, 3, 4)) | v1 = np.exp(x0.transpose(2, 0, 1) * 0).sum(1); v2 = v1.reshape(-1); v2 += 1 | v1, v2
x0 = array('f8', (3, 4)) | v1 = np.copy(x0.T); v2 = x0.T.copy(); v3 = v1.ravel(); v4 = v2.ravel(); v3 += 1; v4 += 1 | v1, v2
x0 = array('f8', (3, 4)) | v1 = x0.T.astype('f4'); v2 = np.concatenate([x0.T, x0.T]); v3 = v1.ravel(); v4 = v2.ravel(); v3 += 1; v4 += 1 | v1, v2
x0 = array('f8', (3, 4)) | v1 = np.where(x0.T > 0, x0.T, 0); v2 = np.zeros_like(x0.T); v3 = v1.ravel(); v4 = v2.ravel(); v3 += 1; v4 += 1 | v1, v2
x0 = array('u1', ()) | v1 = np.nan_to_num(x0); v2 = np.nan_to_num(x0 / 2) | v1, v2
x0 = scalar('f4', 95) | v1 = np.nan_to_num(x0) | v1
x0 = array('i2', (2, 3)) | v1 = np.concatenate((x0, 1), axis=None); v2 = np.concatenate((0.5, x0), axis=None) | v1, v2
x0 = array('f8', (2, 3)) | v1 = np.amax(x0, 0) - np.amin(x0) | v1
x0 = array('f4', (1, 1)) | v1 = x0[:-1].mean(); v2 = x0[:-1].var() | v1, v2
x0 = array('?', (2, 3)) | np.copyto(x0, 3) | x0
x0 = array('i4', (2, 3)) | np.copyto(x0, 3); np.copyto(x0[0], True) | x0
x0 = scalar('u8', 10) | v1 = x0 * 1.5; v2 = np.full((4, 2), v1); v3 = np.arctan2(v2, v2[..., :-1] + 0.3) | v3
x0 = array('f4', (5, 3), 17, 'rough'); x1 = array('f8', (3,)) | v1 = np.sum(x0, axis=0, out=x1) | v1, x1
x0 = scalar('c16', 38) | v1 = x0[...]; np.copyto(v1, 1) | x0, v1
x0 = 0.5 | v1 = np.array([[x0, 1], [2, x0]]); v2 = np.full((1, 4), x0); v2 += 1 | v1, v2
x0 = array('u2', (3,)); x1 = -2 | v1 = x0 >= x1; v2 = x1 == x0 | v1, v2
x0 = array('u1', (3,)); x1 = 3 | v1 = x0 > x1 - 5; v2 = x0 + (x1 + 1) | v1, v2
x0 = array('u1', (3,)); x1 = 3 | v1 = x0 + (x1 - 5) | v1
x0 = array('u8', (3,), 0, 'wild'); x1 = -3 | v1 = x0 > x1; v2 = np.less(x1, x0) | v1, v2
x0 = array('f4', (3,)); x1 = 2 | v1 = x0 > x1; v2 = x0 * (x1 + 1) | v1, v2
x0 = -2; x1 = array('u2', (5,)) | v1 = np.where((x1 != 0), x1, x0); v2 = np.where(x1 > 2, 70000, x1) | v1, v2
x0 = array('?', (2, 3)) | v1 = x0.conj(); v2 = np.angle(x0) | v1, v2
x0 = array('f8', (2, 7)) | v1 = (x0.sum(-1) != 0).any(0); v2 = v1 * x0 | v2
x0 = array('f4', (5,)) | np.putmask(x0, x0 > 0, [1, 2, 3.5]) | x0
x0 = array('i4', (5,)) | v1 = np.choose(x0, [x0, 1], mode='wrap') | v1
x0 = array('f4', (3,)) | v1 = np.cross(x0, x0[::-1]) | v1
x0 = array('u1', (3, 4), 11, 'tame', 'reversed') | v1 = np.ascontiguousarray(x0.T); v2 = v1.reshape(12, 1); np.add.at(v1, ([1, -1], 0), 3); v1 += 1 | v1, v2
x0 = array('u2', (5, 7), 90, 'tame', 'inner') | v1 = np.ascontiguousarray(x0.T); v1[()] = 2; v2 = np.asfortranarray(x0); v2[0] = 9 | x0
x0 = array('u2', (5, 7), 90) | v1 = np.ascontiguousarray(x0); v1[0] = 2; v2 = np.asfortranarray(x0.T); v2[0] = 9; v3 = np.asfortranarray(x0); v3[0] = 7; v4 = v3.T.reshape(-1); v4[0] = 8 | x0, v3
x0 = array('f8', ()) | v1 = np.ascontiguousarray(x0); v1[...] = 2; v2 = np.asfortranarray(x0); v2[...] = 9 | x0, v1, v2
 | v1 = np.ones((2, 1)) * 1; v2 = v1.squeeze() | v1, v2
x0 = array('i8', (0,)) | v1 = np.bincount(x0, weights=x0 * 0.5, minlength=3) | v1
x0 = array('f4', (4,)) | v1 = np.einsum(x0[None], [0, 1], [1, 0]); x0[...] = 1; v2 = np.einsum('i->i', x0); v2[0] = 5 | x0, v1
x0 = array('f4', (3, 3)) | v1 = np.einsum('ii->i', x0); v1[:] = 1; v2 = np.einsum('ji', x0); v2[0] = 3 | x0, v1
x0 = array('f8', (1,)) | v1 = np.lib.stride_tricks.sliding_window_view(x0, 2); v2 = x0 + 1 | v2
x0 = array('f8', (3, 7, 0)) | v1 = x0 * 1; v1[v1[:, 0] != 0] = 3; v2 = v1[v1[:, 0] != 0].sum() | v1, v2
x0 = array('f8', (0, 4)); x1 = array('f8', (3,)) | v1 = x1[x0[:, 0] != 0].sum(); x1[x0[:, 1] > 0] += 1 | v1, x1
x0 = array('f8', (2, 1)) | v1 = np.einsum('ii->i', x0); v1[:] = 1 | v1
x0 = array('f8', (2, 2, 3)) | v1 = np.einsum('iij->ji', x0); v1[:] = 1; v2 = np.einsum('iij', x0) | v1, v2, x0
x0 = array('i1', (0, 4)) | v1 = np.average(x0, axis=1) | v1
x0 = array('i1', (0, 4)) | v1 = np.average(x0, axis=1, weights=x0 + 1) | v1
x0 = array('i1', (0, 4)) | v1 = np.average(x0, axis=0) | v1
x0 = array('i8', ()); x1 = array('f8', (1,)) | x1[x0 % 1] = x1 | x1
x0 = array('i8', ()); x1 = array('f8', (1,)) | x1[x0 % 1] = [2.0] | x1
x0 = array('i8', ()); x1 = array('f8', (2, 3)) | x1[x0 % 1] = x1[1:]; x1[x0 % 1, ...] = 3; x1[x0 % 1, x0 % 1] = x1[1, 1] | x1
x0 = array('i2', (), 29); x1 = array('u8', (), 13) | v1 = np.array([1, 2])[(x0 == x1).astype('i8')]; v2 = x0.sum() | v2
x0 = array('u4', (2, 5)); x1 = array('i8', (2, 3)) | x0 *= x1 | x0
x0 = array('u4', (2, 5)); x1 = array('f8', (2, 3)) | np.add(x0, x1, out=x0) | x0
x0 = array('u4', (2, 5)); x1 = array('u4', (2, 3)) | x0 *= x1 | x0
x0 = array('f2', (33,), 71) | v1 = np.mean(x0, axis=-1, out=np.zeros((), 'f4')); v2 = np.mean(x0 * 999, out=np.zeros((), 'f2')); v3 = np.mean(x0, out=np.zeros((), 'f8')) | v1, v2, v3
x0 = array('f8', (3,)) | v1 = np.mean(x0, out=np.zeros((), 'i8')) | v1
x0 = array('i8', (10,)) | v1 = np.bincount(abs(x0), weights=np.ones(3), minlength=9) | x0
x0 = array('f4', (0,)) | v1 = np.average(x0, weights=x0 + 1) | x0
x0 = array('f8', (3, 4)) | v1 = np.average(x0, axis=0, weights=x0 * 0) | x0
x0 = array('f8', (3, 4)); x1 = array('i4', (3,), 3) | v1 = np.average(x0, axis=0, weights=x1 * x1 + 1, returned=True)[1]; v2 = np.average(x0, axis=0, weights=x1 * x1 + 1); v3 = np.average(x0[0], weights=abs(x0[1]) + 1) | v1, v2, v3
x0 = array('c8', (60,), 75, 'wild') | v1 = x0 * 1; v2 = x0 / 1; v3 = x0 * 1.0; v4 = x0 ** 1; v5 = np.multiply(x0, 1); v6 = x0 + 0; v7 = x0 - 0 | v1, v2, v3, v4, v5, v6, v7
x0 = scalar('f4', 95) | v1 = np.linspace(0, 2, 5); v1[0] = x0; v3 = v1.take(np.arange(5)[::-1], -1) | v3
x0 = scalar('f4', 95) | v1 = np.linspace(0, 2, 5); v1[0] = x0; v3 = v1[np.arange(5)[::-1]] | v3
x0 = array('u8', (5,), 16) | v1 = np.choose(x0 % 3, [x0, 2, 1]) | v1
x0 = array('u8', (5,), 16) | v1 = np.take(x0, x0 % 3) | v1
x0 = array('u8', (5,), 16) | np.put(x0, x0 % 3, 3) | x0
x0 = array('f4', (3,)) | v1 = (x0 > 0).sum(); v2 = np.round(v1, 1); v3 = np.round(v1); v4 = np.around(x0.sum()); v5 = v1.round(); v6 = np.round(x0[0] > 0) | v1, v2, v3, v4, v5, v6
x0 = array('u2', (), 3) | v1 = np.array([3.5, -1, 2.25])[x0 % 3] | v1
x0 = array('u2', (4,), 3) | v1 = np.array([3.5, -1, 2.25])[x0 % 3]; v2 = np.array([[1, 2], [3, 4]])[:, x0 % 2] | v1, v2
x0 = array('f4', (7, 3, 2), 9, 'tame', 'offset') | x0[()] = 2; v2 = np.asarray(x0[::-1, None]) | v2
x0 = array('f4', (7, 3, 2), 9, 'tame', 'offset') | v2 = np.asarray(x0[::-1, None]) | v2
x0 = array('f4', (7, 3, 2), 9) | v2 = x0[::-1, None] | v2
x0 = array('f4', (7, 3, 2), 9) | x0[()] = 2; v2 = x0[::-1, None] | v2
x0 = array('u8', (), 39); x1 = array('f8', (4,)) | np.put(x1, (x0 % 2), 3); v1 = np.choose(x0 % 2, [x1, x1[::-1]]) | x1, v1
x0 = array('u4', (1,), 90) | v1 = np.partition(x0, 1)[1] | v1
x0 = array('u4', (2, 3), 90) | v1 = np.argpartition(x0, -4) | v1
x0 = array('u4', (2, 0), 90) | v1 = np.argpartition(x0, 3); v2 = np.partition(x0, (0, 5), axis=0) | v1, v2
x0 = array('i4', (3,)); x1 = array('i4', (1,)) | x0[0] = x1 | x0
x0 = array('?', (3,)); x1 = array('i4', (1,)) | x0[0] = x1 | x0
x0 = array('f4', (3,)); x1 = array('i4', (1, 1)) | x0[0] = x1 | x0
x0 = array('f4', (3,)); x1 = array('i4', (1, 1)) | x0[0, ...] = x1; x0[1] = x1[0, 0]; x0[2:] = x1 | x0
x0 = array('c8', (3,)); x1 = array('i4', (1,)) | x0[0] = x1 | x0
x0 = array('f8', (1, 0, 0)) | v1 = np.compress([True, False], x0, axis=2) | v1
x0 = array('f8', (0, 0)) | v1 = np.take(x0, [0], axis=1) | v1
x0 = array('f8', (3, 0)) | v1 = np.take(x0, [5], axis=0) | v1
x0 = array('f8', (3, 0)) | v1 = np.take(x0, [1], axis=1) | v1
x0 = array('f8', (0, 3)) | v1 = np.take(x0, [5], axis=1) | v1
x0 = array('f8', (0, 0)); x1 = array('i8', (1,)) | v1 = np.take(x0, x1, axis=1) | v1
x0 = array('?', (4, 4, 4), 46) | v1 = np.unwrap(x0.ravel().astype('f4')); v2 = np.nanmax(v1); v3 = np.nanmin(v1) | v2, v3
x0 = array('f8', (2,)) | v1 = x0 * 1; v1[[False, False]] = np.ones((1, 1)) | v1
x0 = array('f8', (2,)) | v1 = x0 * 1; v1[v1 > 0] = np.ones((1, 1)) | v1
x0 = array('f8', (2, 3)) | v1 = x0 * 1; v1[[False, True]] = np.ones((1, 3)); v1[v1[:, 0] > 0] = np.ones((1, 3)); v1[v1 > 0, ...] = np.ones((1, 1)) | v1
x0 = array('u2', (33,), 39) | v1 = np.linalg.norm(x0[None].astype('f4'), axis=-2); x0 ^= x0 | v1
x0 = array('u2', (33,), 39); x1 = array('i4', (33,), 3) | v1 = x0 * 2; x0 -= x0; v2 = x1 + 3; x1 += 1; v3 = x1 * 1.5 | v1, v2, v3
x0 = array('f4', (7,), 90); x1 = array('f8', (2, 3, 3, 3), 49, 'wild', 'reversed') | v1 = np.outer(x0, x1[None][::-1, 0, 1:, 1:, :]); v2 = np.einsum('ij->j', v1) | v2
x0 = array('f8', (3, 4)); x1 = array('i8', (), 72) | v1 = (x0 * 2)[(x1 % 1)].T; v2 = v1[None].transpose((1, 0)) | v1, v2
x0 = array('f8', (3, 4)); x1 = array('i8', (), 72) | v1 = x0[(x1 % 1)]; v2 = x0[0]; v3 = x0[(x1 % 2), 1:]; v4 = x0[..., x1 % 1]; v5 = x0[x1 % 1, :, None]; v6 = x0[(x1 % 2) - 2] | v1, v2, v3, v4, v5, v6
x0 = array('f8', (3, 4)); x1 = array('i8', (), 72); x2 = array('i8', ()) | x1[...] = 1; v1 = x0[x1]; v2 = x0[x1, None]; v3 = x0[:, x1]; x0[x1] += 1 | v1, v2, v3, x0
x0 = array('f8', (3, 4)); x1 = 2 | v1 = x0[x1]; v1 += 1; v2 = x0[x1, 1:]; v3 = x0.T[1:][x1 - 1][::-1] | v1, v2, v3
x0 = array('f4', (3, 4), 5, 'wild'); x1 = array('f2', (2, 3), 5, 'wild') | v1 = np.fmax.reduce(x0); v2 = np.fmin.reduce(x0 * np.nan, axis=1); v3 = np.nanmax(x1, axis=1); v4 = np.fmin.reduce(x1 - np.inf, axis=0, initial=2, where=x1 > 0); v5 = np.fmax.reduce(x0 - np.inf) | v1, v2, v3, v4, v5
x0 = array('i1', (), 82, 'tame'); x1 = array('c16', (5,), 46, 'tame') | v1 = x1 + 0; v2 = v1[..., (4 - x0 % 5)]; v1[::-1] = 1; v3 = v1[..., x0 % 5]; v3 += 1 | v1, v2, v3
x0 = array('i8', (3, 4), 49, 'tame', 'F') | v1 = np.add(x0[None].astype('f4'), x0.astype('f8'), out=np.zeros((1, 3, 4))); v2 = np.expand_dims(v1, 0); v3 = v1.reshape(-1) | v3, v2
x0 = array('c8', (3, 4)) | v1 = x0.reshape(-1).imag; v1 += 1; x0.real[:, 0] = 3 | x0, v1
x0 = array('f4', (), 44, 'wild') | v1 = np.frexp(np.sort(x0[None].astype('f8') * 3))[0]; v2 = np.nanargmax(v1) | x0
x0 = array('f8', (2, 2)) | v1 = np.linalg.inv(x0 * 0); v2 = x0 + 1 | v2
x0 = array('u2', (2, 4)) | v1 = x0.imag; v2 = v1.T.reshape(-1) + x0.ravel() | v1, v2
x0 = array('i4', (300,), 96, 'wild', 'strided') | x0[...] = x0.sum(0) | x0
x0 = array('i2', (3,)); x1 = array('f4', (2,), 5, 'wild') | x0[1:] = x1[0] * 9e9; x0.fill(x1[1]) | x0
x0 = array('i2', (7, 7, 3), 0, 'tame', 'F') | v1 = np.vecdot(x0[1:2, ::-2, 1:, None].astype('f8'), x0[1:2, ::-2, 1:, None].astype('f8')) | v1
x0 = -2; x1 = array('u1', (5, 3)) | v1 = np.concatenate((x1, x0), axis=None); v2 = np.concatenate((x1, 300), axis=None) | v1, v2
x0 = -2; x1 = array('f4', (3,)) | v1 = x1 + x0.sum() | v1
x0 = -2; x1 = array('f4', (3,)) | v1 = x1 + x0.conjugate().real | v1
x0 = (2-1j); x1 = array('f4', (3,)) | v1 = x1 * x0.conjugate(); v2 = x1 + x0.imag; v3 = x1 * np.real(x0) | v1, v2, v3
 | v7 = np.full((1, 300), 2, 'i8'); v10 = v7.prod(-1); v13 = np.cumsum(v10[1:-1]); v15 = np.add.reduce(v7); v16 = np.choose(v15, [v15, 1], mode='wrap'); v21 = v16.take((v13 % 300)) | v21
 | v1 = np.arange(6, dtype='i2'); v1[1:] = 1; v2 = v1[1:]; v2[[0, -1]] = 1; v3 = np.lib.stride_tricks.sliding_window_view(v2, 2, axis=-1) | v3, v2
x1 = array('f8', (300,), 85); x2 = array('i1', (300,), 93, 'rough', 'strided') | v1 = np.atleast_2d(x1); v2 = np.bincount(x2 % 3, minlength=3); v1 += x2; v1[(-1 - v2 % 1), 1:] = x1.max() | v1
x0 = array('u1', (7, 3, 5), 91) | v1 = x0[::-2, ::2, 0].swapaxes(0, -1); v2 = v1[::-1, None, 1:2][(v1 % 2)].T | v2, layout(v2)
x1 = -2; x2 = array('u4', (3,), 89, 'tame', 'strided') | v1 = np.choose(x2 % 3, [x2, 3, x1]); v2 = np.choose(x2 % 3, [x2, 2**40, -1]) | v1, v2
x0 = array('c8', (2, 1, 0), 25); x1 = array('f8', (7, 0, 3)) | v1 = np.isnan(x0); v1[np.arange(2)[::-1], np.array([0, -1], 'i8'), ...] = x0; v2 = np.ones((0, 3)); v2[np.zeros(0, 'i8')] = x1 | v1, v2
x0 = array('?', (0, 7), 99, 'tame', 'strided') | v1 = np.diff(x0, axis=-2); v2 = np.indices((2, 3)); v2[0] += 1; v6 = v2[[0, 0, 1]].T; v9 = v6[1:-1] / (v1.any().astype('f4') + 100); v10 = layout(v9) | v9, v10
x1 = array('f2', (4, 7), 33, 'tame', 'F') | v1 = np.add(x1, x1, dtype='f8'); v1[1:] = v1.sum(0); v8 = v1.T; v8[0] = v8.mean(0); v8.put([0, -1], 2) | v1, v8
"""


def read(line: str) -> Program:
    arguments, statements, results = (part.strip() for part in line.split(" | "))
    given = [part.split(" = ", 1) for part in arguments.split("; ") if part]
    steps = [Statement(part, part.split(" = ")[0] if " = " in part else "") for part in statements.split("; ")]
    return Program(tuple((name, source) for name, source in given), tuple(steps), tuple(results.split(", ")))


FOUND = {line: read(line) for line in TEXT.strip("\n").splitlines()}
