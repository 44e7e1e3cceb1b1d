"""Expressions of NumPy, jitted and not: types, dtypes, shapes and values are the same, or both are errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close

RNG = np.random.default_rng(0)
NAMES: dict[str, Any] = {
    "x": RNG.standard_normal((4, 5)), "f": RNG.standard_normal((4, 5)).astype("f4"), "i": RNG.integers(-5, 9, (4, 5)),
    "j": RNG.integers(1, 9, (4, 5)).astype("i4"), "u": RNG.integers(0, 255, (4, 5)).astype("u1"), "b": RNG.random((4, 5)) > 0.5,
    "h": RNG.standard_normal((4, 5)).astype("f2"), "c": RNG.standard_normal((4, 5)) + 1j * RNG.standard_normal((4, 5)),
    "v": RNG.standard_normal(5), "w": RNG.standard_normal(4), "s": np.float64(2.5), "k": 3, "p": 0.5, "e": np.zeros((0, 3)), "z": np.array(2.0),
    "t": RNG.standard_normal((2, 3, 4)), "m": RNG.standard_normal((4, 4)) + 4 * np.eye(4), "q": np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, -1.0]]),
    "g": np.arange(5.0), "n": np.array([1.0, np.nan, -np.inf, np.inf, -0.0]),
}  # fmt: skip
EXPRESSIONS = {
    "operators and plain reductions": """
        x//0.3; x%0.7; divmod(x,0.7); divmod(i,j); -x; +x; abs(x); abs(c); ~i; ~b; i<<2; i>>1; i&3; i|j; i^j; x**2; x**-1; x**0.5; 2**x; i**2; j**j;
        u**2; f**3; 2**j; x>0; (x>0)&(x<1); x!=x; x@v; w@x; x@x.T; v@v; round(x,1); x.round(2); np.round(i,-1); np.around(f); x.astype('f4');
        x.astype(int); x.astype(bool); u.astype('i1'); x.astype('c8'); f.astype('f2'); x.astype('u1'); h+1; h*h; h.sum(); h.mean(); h.std()
    """,
    "reductions with their arguments": """
        x.sum(); x.sum(0); x.sum(axis=1,keepdims=True); x.sum(axis=(0,1)); x.sum(()); x.sum(dtype='f4'); i.sum(dtype='f8'); u.sum(); u.sum(dtype='u1');
        u.sum(0); b.sum(); b.sum(0,dtype='i2'); f.sum(); x.mean(0); i.mean(); u.mean(1); b.mean(); f.mean(); c.mean(); x.var(); x.var(0,ddof=1);
        c.var(); i.std(1); b.std(); x.max(); x.max(1); u.min(0); b.max(); b.min(1); c.sum(0); x.prod(); i.prod(1); u.prod(0); x.any(); b.any(0);
        b.all(1); x.all(); x.argmax(); x.argmax(0); x.argmin(1); u.argmax(1); b.argmax(); x.argmax(1,keepdims=True); np.ptp(x,1); np.sum(x,where=b);
        np.mean(x,where=b); np.max(x,initial=0.5); np.max(x,where=b,initial=-9); np.sum(x,initial=3.); np.prod(x,0,initial=2); np.nansum(x);
        np.count_nonzero(b); np.count_nonzero(i,axis=0); np.nansum(n); np.max(n); np.fmax.reduce(n); np.min(n); n.argmax(); np.add.reduce(x);
        np.multiply.reduce(x,axis=1); np.maximum.reduce(x,1); np.logical_and.reduce(b); np.logical_or.reduce(b,axis=None); np.bitwise_xor.reduce(i);
        np.add.outer(v,w); np.multiply.outer(v,v)
    """,
    "shapes and joining": """
        x.T; x.transpose(); t.transpose(2,0,1); t.transpose((1,0,2)); t.swapaxes(0,2); np.moveaxis(t,0,-1); x.reshape(5,4); x.reshape(-1);
        x.reshape((2,-1)); x.ravel(); x.flatten(); t[...,None]; t[None]; x[1]; x[-1]; x[1:3]; x[::2]; x[::-1]; x[:,1]; x[1,2]; x[1:,::-2]; x[...,0];
        t[:,1,:]; x[-3:-1]; x[5:]; np.squeeze(x[None]); np.expand_dims(x,(0,2)); np.flip(x); np.flip(x,1); np.fliplr(x); np.flipud(x); np.rot90(x);
        np.rot90(x,2); np.roll(x,2); np.roll(x,1,axis=0); np.roll(x,(1,2),(0,1)); np.roll(x,-7); np.broadcast_to(v,(3,5)); np.tile(v,2);
        np.tile(x,(2,3)); np.repeat(v,3); np.repeat(x,2,axis=1); np.concatenate([x,x]); np.concatenate([x,x],1); np.concatenate([x,f],axis=0);
        np.concatenate([i,x]); np.stack([v,v]); np.stack([v,v],-1); np.vstack([v,v]); np.hstack([v,v]); np.dstack([x,x]); np.column_stack([v,v]);
        np.split(x,2); np.array_split(v,3); np.pad(v,2); np.pad(x,((1,0),(0,2)),constant_values=7); np.pad(v,(1,2),mode='edge');
        np.pad(v,3,mode='reflect'); np.pad(v,3,'symmetric'); np.pad(v,3,'wrap'); np.diff(v); np.diff(x,axis=0); np.diff(v,n=2); np.atleast_2d(v);
        np.atleast_3d(v); np.atleast_1d(z)
    """,
    "elementwise functions and promotion": """
        np.where(x>0,x,0); np.where(b,1,2); np.where(b,i,x); np.clip(x,-1,1); x.clip(0); np.clip(i,2,5); np.clip(u,10,None); np.clip(x,None,0.5);
        np.minimum(x,0); np.maximum(f,0.1); np.fmin(n,0); np.sign(x); np.sign(c); np.sign(i); np.floor(x); np.ceil(f); np.trunc(x); np.rint(x);
        np.fix(x); np.sqrt(abs(x)); np.cbrt(x); np.exp(f); np.log1p(abs(x)); np.hypot(x,1); np.arctan2(x,v); np.sinh(f); np.logaddexp(x,v);
        np.heaviside(x,0.5); np.copysign(x,-1); np.nextafter(x,0); np.spacing(f); np.ldexp(x,2); np.frexp(x); np.modf(x); np.gcd(i,6); np.lcm(j,4);
        np.isnan(n); np.isinf(n); np.isfinite(n); np.signbit(n); np.nan_to_num(n); np.nan_to_num(n,nan=9.,posinf=1,neginf=-1); np.isclose(x,x+1e-9);
        np.deg2rad(x); np.degrees(f); np.square(i); np.reciprocal(x); np.reciprocal(j); np.positive(x); np.conj(c); c.real; c.imag; np.real(x);
        np.imag(x); np.angle(c); np.absolute(c); c*c; c/2; 1/c; c**2; np.exp(c); np.float_power(i,2); np.power(x,2); np.power(i,3); np.power(2.,i);
        np.mod(i,3); np.remainder(-x,0.3); np.fmod(x,.3); np.floor_divide(i,2); np.divide(i,2); np.true_divide(u,2); i/2; u/2; b+b; b*2; b+1.5; b&b;
        b^True; u+1; u-1; u*2; u+u; j+1; j*1.5; f*1.5; f+s; f*k; f*p; h*p; h+s; u*p; i*p; x*k; f+np.float32(1); f+np.float64(1); f+np.int64(1);
        f+np.int8(1); h+np.int32(1); u+np.int8(1); z+f; z*u; s+1; k+1; k*2.5; k/2; k//2; k**2; p**2; -k; k>2; np.sqrt(k); np.sqrt(p); np.add(k,p);
        np.maximum(k,2); k+u; k*f; p*u; x*np.pi; np.e*f
    """,
    "creation, products, empty arrays, dtypes": """
        np.zeros_like(x); np.ones_like(u); np.full_like(x,3); np.full_like(u,2.7); np.empty_like(x).shape; np.zeros_like(x,dtype='f4')+1; np.copy(x);
        x.copy(); np.dot(x,v); np.dot(v,v); np.dot(2,x); np.inner(v,v); np.inner(x,x); np.outer(v,w); np.vdot(c,c); np.tensordot(x,x,2);
        np.tensordot(x,x.T,1); np.matmul(x,x.T); np.linalg.norm(x); np.linalg.norm(x,axis=1); np.linalg.norm(v,1); np.linalg.norm(v,np.inf); e.sum();
        e.sum(0); e.mean(0); e+1; e.any(); e.all(); np.concatenate([e,e]); x[0:0].sum(0); x[0:0].prod(); np.stack([k,p]); np.add(x,1,dtype='f4');
        np.add(i,1,dtype='f8'); np.multiply(u,u,dtype='u2'); np.exp(i); np.exp(b); np.sqrt(u); np.sin(h); np.arctan(u); len(x); x.shape[0]*x; x.ndim+x;
        x.size*1.0; x.dtype.itemsize*f; t.sum((0,2)); t.max((1,2)); t.mean((0,1),keepdims=True); t.var((0,2)); t.argmax(1); t.any((0,1)); np.ndim(t);
        np.shape(t); np.size(t)
    """,
    "sorting, scans, searching": """
        np.sort(x); np.sort(x,axis=0); np.sort(x,None); np.sort(n); np.sort(c); np.sort(h); np.argsort(x); np.argsort(i,axis=0,kind='stable');
        np.argsort(x,axis=None); x.argsort(1); np.partition(v,3); np.argpartition(v,2); np.partition(x,[1,2],axis=0); np.lexsort((v,g));
        np.sort_complex(c); np.cumsum(x); np.cumsum(x,1); np.cumsum(u); np.cumsum(b); np.cumsum(f,0); np.cumsum(f,dtype='f8'); np.cumprod(x,1); x.cumsum();
        np.nancumsum(q,0); np.nancumprod(q,1); np.cumulative_sum(v,include_initial=True); np.maximum.accumulate(x,axis=1); np.add.accumulate(v);
        np.subtract.accumulate(x); np.add.reduceat(v,[0,3,1]); np.maximum.reduceat(x,[0,2],axis=1); np.subtract.reduce(x); np.hypot.reduce(x,axis=1);
        np.divide.reduce(x,1,keepdims=True); np.subtract.reduce(x,None); np.searchsorted(g,x); np.searchsorted(g,v,side='right'); g.searchsorted(2.5);
        np.digitize(x,g); np.digitize(x,[0.,1.]); np.interp(x,g,g**2); np.interp(x,g,v,left=-1.); np.isin(i,[1,2,3]);
        np.isin(i,j,invert=True); np.bincount(j.ravel(),minlength=12); np.bincount(j[0],weights=v,minlength=9);
        np.histogram(v,bins=4,range=(-1,1)); np.histogram(x); np.histogram(i,bins=3); np.histogram(x,bins=g); np.histogram(v,density=True,weights=g);
        np.histogram(v,weights=w);
        np.histogram2d(v,g,3); np.histogram2d(v,g,[3,2]); np.packbits(u); np.unpackbits(u,axis=1); np.packbits(b,axis=0); np.unravel_index(u[0],(16,16));
        np.ravel_multi_index((u[0],u[1]),(256,256)); np.ravel_multi_index((i[0],i[1]),(3,3))
    """,
    "statistics": """
        np.median(x); np.median(x,0); np.median(x,(0,1),keepdims=True); np.median(i); np.median(f); np.median(n); np.quantile(x,.3); np.quantile(f,.3);
        np.quantile(x,[.1,.5],axis=1); np.percentile(x,30,0,keepdims=True); np.quantile(x,v*0+.5,axis=0); np.quantile(x,.3,method='nearest');
        np.percentile(x,[[10,20]],axis=(0,1)); np.quantile(x,2.); np.nanmedian(q,0); np.nanquantile(q,.2,axis=1); np.nanmax(q); np.nanmax(q,1);
        np.nanmin(q,0);
        np.nanmean(q); np.nanmean(q,0); np.nanmean(i,0); np.nanmean(q,1,keepdims=True); np.nanvar(q); np.nanvar(q,0,ddof=1); np.nanstd(q,1); np.nanstd(x);
        np.nanargmax(q,0); np.nanargmin(q); np.nanargmax(q*np.nan,0); np.nansum(q,1); np.nanprod(c); np.average(x); np.average(x,1); np.cov(x);
        np.cov(v,g);
        np.average(x,axis=1,weights=v); np.average(x,weights=x*x); np.average(v,weights=g,returned=True); np.average(v,weights=v-v); np.convolve(v,w);
        np.convolve(v,w,'same'); np.convolve(c[0],v,'valid'); np.correlate(v,g,'full'); np.correlate(c[0],c[1]); np.trapezoid(x); np.trapezoid(v,g);
        np.trapezoid(x,dx=.1,axis=0); np.gradient(v); np.gradient(x); np.gradient(x,.5,axis=1); np.gradient(v,edge_order=2); np.ediff1d(v);
        np.ediff1d(v,to_end=[1.,2.]); np.unwrap(v*4); np.polyval(v,g); np.polyval([1,2],x); np.polyadd(v,g); np.polysub(v,w); np.polyder(v); np.polyint(v);
        np.polyfit(g,v,2); np.polyfit(g,x.T,1); np.vander(v,3); np.sinc(x); np.real_if_close(x); np.allclose(x,x+1e-9); np.allclose(x,f);
        np.array_equal(v,v);
        np.array_equal(v,w); np.array_equiv(x,v); np.linspace(v[0],v[1],5); np.linspace(v,g,4); np.linspace(v,g,4,axis=1,endpoint=False);
        np.linspace(f[0,0],f[0,1],3); np.linspace(v[0],2,4,retstep=True); np.linspace(v[0]*9,9,4,dtype=int); np.logspace(v[0],v[1],5); np.linspace(s,p,3)
    """,
    "linear algebra and transforms": """
        np.linalg.inv(m); np.linalg.inv(f[:,:4]); np.linalg.det(m); np.linalg.slogdet(m); np.linalg.slogdet(m).logabsdet; np.linalg.solve(m,w);
        np.linalg.solve(m,m.T); np.linalg.solve(m,x); np.linalg.eigh(m+m.T); np.linalg.eigvalsh(m+m.T); np.linalg.eig(m+0j); np.linalg.svd(x);
        np.linalg.svd(x,full_matrices=False).S; np.linalg.svd(x,compute_uv=False); np.linalg.svdvals(x); np.linalg.qr(x); np.linalg.qr(x,mode='r');
        np.linalg.cholesky(m@m.T); np.linalg.pinv(x); np.linalg.matrix_rank(x); np.linalg.cond(m); np.linalg.lstsq(x.T,v); np.linalg.lstsq(m,x);
        np.linalg.matrix_power(m,3); np.linalg.matrix_power(m,-1); np.linalg.matrix_power(m,0); np.linalg.multi_dot([x,x.T,m]); np.linalg.norm(x,2);
        np.linalg.norm(x,'nuc'); np.linalg.norm(v,3); np.linalg.norm(x,1); np.linalg.norm(x,np.inf); np.linalg.norm(x,'fro'); np.linalg.norm(v,0);
        np.linalg.norm(t,axis=(0,1));
        np.linalg.vector_norm(x,axis=1); np.linalg.matrix_norm(t); np.linalg.tensorinv(m.reshape(2,2,2,2));
        np.linalg.tensorsolve(m.reshape(2,2,2,2),m[:2,:2]);
        np.linalg.cross(x[:,:3],x[:,1:4]); np.cross(x[:,:3],v[:3]); np.kron(m,x); np.linalg.vecdot(x,f); np.vecdot(x,v); np.vecdot(x,x,axis=0);
        np.linalg.matmul(x,x.T); np.linalg.outer(v,w); np.linalg.inv(x); np.linalg.solve(m,v); np.linalg.inv(h[:,:4]); np.linalg.inv(m*0);
        np.linalg.cholesky(-m@m.T);
        np.fft.fft(v); np.fft.fft(f,axis=0); np.fft.fft(x,n=3); np.fft.ifft(c,norm='ortho'); np.fft.rfft(x); np.fft.irfft(c); np.fft.irfft(c,7);
        np.fft.fft2(x);
        np.fft.ifft2(t); np.fft.fftn(t,axes=(0,2)); np.fft.rfftn(t); np.fft.irfftn(t+0j); np.fft.hfft(c); np.fft.ihfft(x); np.fft.fftshift(x);
        np.fft.ifftshift(x,axes=1);
        np.einsum('ij,kj->ik',x,x); np.einsum('ij->ji',x); np.einsum('ii->i',m); np.einsum('ii',m); np.einsum('ij,j',x,v); np.einsum('ij,ij->i',x,f);
        np.einsum('i,j->ij',v,w); np.einsum('ijk,kl,il->j',t,m,m[:2]); np.einsum('...j,j',t,w); np.einsum('ij,jk,kl->il',x,x.T,m);
        np.einsum(x,[0,1],v,[1]);
        np.einsum('ij->',i); np.einsum('ij,ij',u,u); np.einsum('i,i',b[0],b[1]); np.einsum('ij,jk',i,i.T); np.einsum('ij,kj',x,v); np.einsum('ij,jk',x,x);
        np.einsum('bij,bjk->bik',t,t.transpose(0,2,1)); np.einsum('ij,j->i',c,v); np.einsum('...ij->...ji',t); np.einsum('ij,ij->ij',x,v[None])
    """,
    "shapes by NumPy's own source": """
        np.append(v,w); np.append(x,x,axis=0); np.apply_along_axis(lambda r: r.sum()*r,1,x); np.apply_over_axes(np.sum,x,[0,1]); np.block([[x,x],[x,x]]);
        np.block([v,w]); np.meshgrid(v,w); np.meshgrid(v,w,indexing='ij'); np.resize(v,(3,4)); np.rollaxis(t,2); np.select([v<0,v>1],[v,v*v],3.);
        np.select([x>0],[i]);
        np.hsplit(x,5); np.vsplit(x,2); np.dsplit(t,2); np.unstack(x); np.tril(x); np.triu(x,1); np.tril(t,-1); np.matrix_transpose(t);
        np.piecewise(v,[v<0,v>=0],[-1,1]); np.piecewise(v,[v<-1,v>1],[1,2,lambda a:a*3]); np.piecewise(v,v<0,[5,lambda a:a**2]);
        np.piecewise(x,[x>0],[lambda a:-a]); np.i0(x); np.lib.stride_tricks.sliding_window_view(v,3);
        np.lib.stride_tricks.sliding_window_view(x,(2,3)).sum((2,3));
        np.lib.stride_tricks.sliding_window_view(x,2,axis=1)@np.ones((2,2)); np.lib.stride_tricks.sliding_window_view(x,9); np.interp(v,g,g,period=3.);
        np.delete(v,2); np.delete(x,[0,2],axis=1); np.delete(x,slice(1,3),0); np.delete(v,9); np.insert(v,2,9.); np.insert(x,1,0.,axis=1);
        np.insert(v,[1,3],[7,8]);
        np.insert(x,[0,2],x[0],axis=0); np.insert(x,2,v,axis=0); np.insert(i,1,2.7); np.corrcoef(x); np.corrcoef(v,g); np.diag(v); np.diag(m);
        np.diag(x,1);
        np.diagflat(w); np.trace(m); m.diagonal(); np.take(v,[1,2]); np.compress([True,False,True,True],x,axis=0); np.ix_([0,2],[1,3]);
        np.isneginf(n); np.isposinf(n); np.isreal(c); np.iscomplex(c); np.common_type(f,x); np.amax(x,0); np.amin(x); x.flags.c_contiguous;
        x.T.flags.f_contiguous;
        x.flat[3]; x.T.flat[2:7]; list(v.flat); np.roll(x,1); np.copyto(x.copy(),1.); np.broadcast_arrays(x,v); np.nan_to_num(c.real);
        np.nan_to_num(c*np.nan); np.nan_to_num(n*1j,nan=2.,posinf=5.);
        x.reshape((2,10),order='F'); x.T.ravel('A'); t.T.ravel('K'); t.flatten('F'); t.reshape((4,-1),order='A');
        np.diff(v,append=v[:1]); np.diff(v,prepend=0,append=v[0]); np.diff(x,axis=0,prepend=x[:2]); np.diff(i,n=2,append=3); np.diff(x,append=1.0,axis=0);
        np.pad(x,2,'linear_ramp'); np.pad(x,((1,0),(0,2)),'linear_ramp',end_values=(3,4)); np.pad(i,1,'mean'); np.pad(f,2,'median',stat_length=2);
        np.pad(u,(1,2),'maximum'); np.pad(x,2,'minimum'); np.pad(x,2,constant_values=((1,2),(3,4))); np.pad(v,3,'reflect',reflect_type='odd');
        np.pad(i,1,'symmetric',reflect_type='odd'); np.pad(x,2,'edge',stat_length=3); np.pad(x,1,'constant',stat_length=3); np.pad(x,1,'nonsense');
        np.pad(v,(0,0),'mean'); np.pad(x,(-1,2),'mean'); np.repeat(x,[1,0,2,3],axis=0); np.repeat(v,(2,0,1,1,3)); np.repeat(x,[2],1); np.repeat(x,[1,2],0);
        np.repeat(v,np.array([2,0,1,1,3])); v.repeat([2])
    """,
    "complex numbers, broadcasting, lists": """
        x.imag; x.real; f.real; np.isrealobj(x); np.iscomplexobj(c); np.result_type(f,1.0); c.conj().T; c.sum(); c.prod(0); np.isnan(c); c==c; c!=1;
        np.where(b,c,0); abs(c)**2; (c*c.conj()).real; c.astype('c8'); c.mean(1); np.abs(i); np.abs(u); np.fabs(i); i.max()-i.min();
        (x-x.mean())/x.std(); x/x.sum(1,keepdims=True); (x.T*w).T; x[:,None,:]-x[None]; ((x[:,None]-x[None])**2).sum(-1); np.sum(x*x,-1);
        x.sum(1)[:,None]*x; np.add(x,[1,2,3,4,5]); np.maximum(x,[[0],[1],[0],[1]]); sum(x); sum(v); max(k,2); [a*2 for a in x]; tuple(x);
        {'a':x,'b':[v,1]}; (x,None,3,'s'); c.max(); c.min(0); c.max((0,1),keepdims=True); np.ptp(c,0); c.argmax(); c.argmin(1); np.argmax(c*1j,0,keepdims=True);
        np.fmax.reduce(c,1); np.nanmax(c*np.nan,1); c[:0].max(); c[:0].max(1); c.max(axis=()); np.max(c,1,out=np.zeros(4,complex));
    """,
    "axes of arrays without axes": """
        np.argmax(z,0); z.argmin(-1); np.argmax(z,0,keepdims=True); np.argsort(z); z.argsort(0); np.sort(z); np.cumsum(z,0); z.cumprod(-1); np.cumsum(z,1);
        np.repeat(z,2,0); np.argpartition(z,0); np.compress([True],z,0); np.diff(z); np.linalg.norm(z,axis=0); np.nancumsum(z,0); z.sum(-1); z.mean(0)
    """,
}


def outcome(function: Any, arguments: list[Any]) -> Any:
    """The result, or the kind of error."""
    try:
        return function(*arguments)
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
        return next(
            kind
            for kind in (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError)
            if isinstance(error, kind)
        )


@pytest.mark.parametrize(
    "expression", [one.strip() for group in EXPRESSIONS.values() for one in group.split(";") if one.strip()]
)
def test_as_numpy(expression: str) -> None:
    used = [name for name in NAMES if re.search(rf"(?<![\w.'\"]){name}(?![\w'\"(])", expression)]
    function = eval(f"lambda {', '.join(used)}: {expression}", {"np": np})
    arguments = [NAMES[name] for name in used]
    same(outcome(nf.jit(function), arguments), outcome(function, arguments))


def same(got: Any, wanted: Any) -> None:
    assert type(got) is type(wanted)
    if isinstance(wanted, (tuple, list)):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            same(one, other)
    elif isinstance(wanted, dict):
        same(list(got.items()), list(wanted.items()))
    elif isinstance(wanted, (np.ndarray, np.generic)):
        close(got, wanted)
        if wanted.dtype.kind == "f":
            zero = np.asarray(wanted == 0)
            assert (np.signbit(got)[zero] == np.signbit(wanted)[zero]).all(), "the sign of a zero"
    else:
        assert got == wanted
