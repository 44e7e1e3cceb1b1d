"""Functions that write: results, the caller's arrays and errors are NumPy's, for arrays of any layout."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close

# each function ends with its `return`; the arguments are those of `arguments()`
RIGHT = """
np.putmask(f,f>0,[1.5,2.]); return f
np.putmask(i,i>0,np.float64(2.5)); return i
np.putmask(f,f>0,x); return f
np.putmask(f,f>0,x.sum()); return f
np.place(f,f>0,x); return f
np.place(i,i>0,[1.5]); return i
np.place(f,f>0,x[0,0]); return f
y=np.einsum('ij->ji',x); y[0]=7; return y
y=np.einsum('ij',x); y-=1; return x.sum()
y=np.einsum('ii->i',x[:,:4]); y+=10; return y
y=np.einsum('...ii->...i',x[:,:4]); y[...]=7; return x.sum()
np.nan_to_num(x,copy=False); return x
x[0]=np.nan; y=np.nan_to_num(x,copy=False,nan=3.); y[1]=7; return y
y=np.ascontiguousarray(x); y[...]=7; return y
y=np.ascontiguousarray(x.T); y[...]=7; return y
y=np.asfortranarray(x); y[...]=7; return y
y=np.asfortranarray(x.T); y[...]=7; return y
y=np.asfortranarray(x[:,0]); y[...]=7; return y
y=np.reshape(x,-1,copy=True); y[...]=7; return y
y=np.reshape(x,(-1,2),copy=False); y[...]=7; return y
y=x.reshape((2,-1),order='F'); y[0]=7; return y
y=x.T.reshape((2,-1),order='A'); y[0]=7; return y
y=x.ravel('F'); y[:3]=7; return y
y=x.ravel('A'); y[:3]=7; return y
y=x.T.ravel('K'); y[:3]=7; return y
y=x.T.flatten('F'); y[:3]=7; return y
x.imag[0]=1; return x
y=np.array(3.); y+=x[0,0]; return y
y=np.asarray(np.float32(3)); y[...]=x[0,0]; return y
x.sort(); return x
x.sort(0); return x
x.partition(2); return x
x[1:].sort(axis=0); return x
x[[0,1]]=0; return x
x.flat[3]=9; return x
x.flat=[1,2,3]; return x
x.T.flat[2:7]=u[0,0]; return x
x[1:]+=x[:-1]; return x
x[:-1]=x[1:]; return x
x[::2]*=2; return x.sum()
x[:,0]=0; x[0]=1; return x
x[...]=v; return x
x[1,2]=5; return x
x[-1]-=x[0]; return x
y=x; y+=1; return x
y=x.copy(); y+=1; return x,y
y=x.T; y[0]=9; return x
y=x.reshape(5,4); y[1]=7; return x,y
y=x.ravel(); y[3]=8; return x
y=x[1:3]; z=y[:,1:]; z*=3; return x,y,z
y=x.flatten(); y[0]=1; return x,y
np.add(x,1,out=x); return x
np.multiply(x,v,out=x[:]); return x
np.exp(x,out=x); return x
x.fill(3); return x
x**=2; return x
x//=0.5; return x
x%=0.3; return x
x/=2; return x
x-=x.mean(0); return x
i+=1; return i
i//=2; return i
i<<=1; return i
i&=3; return i
i[0]=2.7; return i
u+=5; return u
u[0]=300%256; return u
b|=True; return b
b[0]=0; return b
x[x.shape[0]//2:]=0; return x
x[:,::-1]+=1; return x
x[::-1]=x; return x
x[0],x[1]=x[1].copy(),x[0].copy(); return x
a=x[0]; x[0]=x[1]; x[1]=a; return x
x=x+1; x[0]=0; return x
y=np.zeros_like(x); y[1:-1]=x[2:]-x[:-2]; return y
y=np.empty_like(x); y[:]=x; y[0]=v; return y
y=np.ones_like(x); y*=x; y[:,1]-=v[0]; return y
for r in range(3): x[r]=x[r]*r
return x
for r in x: r*=2
return x
for k in range(x.shape[1]): x[:,k]=x[:,k]/x[:,k].sum()
return x
x+=v[None]; x*=w[:,None]; return x
x[1:3,2:4]=np.outer(w[:2],v[:2]); return x
y=x[None]; y[0,0]=1; return x
y=np.broadcast_to(v,(4,5)); return y+x
y=x.swapaxes(0,1); y[2]=w; return x
y=np.squeeze(x[:, :1]); y[:]=4; return x
np.copyto(x,v); return x
x[0,0]+=1; x[0,0]*=2; return x[0,0]
z[()]=4; return z
z+=1; return z
x.T[1:]+=1; return x
x[1:][1:]=0; return x
x[x>0]=0; return x
x[:]+=x.T.copy().T; return x
y=x[:2]; x[0]=5; return y
y=x.sum(0); x[:]=0; return y
y=x[0]; y=y+1; y[0]=3; return x,y
np.maximum(x,0,out=x); return None
x+=i; return x
f+=x; return f
f[:]=x; return f
i+=x; return i
x[5]=0; return x
x[0]=np.ones(3); return x
x+=np.ones(3); return x
x[:, 1:3] = [[1,2]]*4; return x
x[0] = i[0]; return x
x[0] = k; return x
x = -x; x[0] = p; return x
x @= np.eye(5); return x
d={}; d['y']=x; d['y']+=1; return x
l=[x, x+1]; l[0][0]=2; return l
c[0]=1j; return c
c.real=x; return c
c.real+=1; return c
y=c.real; y[0]=5; return c
c.imag=v; c[1:].T.imag[0]=7; return c.real.sum(),c
y=c.reshape(-1).imag; y+=1; np.real(c)[0]=np.inf; c.real[2:].fill(np.nan); return c,y
np.add(x,1,out=c.imag); c.imag[:,::-2]*=2; c.imag[i>0]=3; return c
y=np.zeros((2,3),'c8'); y.imag[::-1]=v[:3]; y.real=i[0,0]; return y
x.real=3; return x
x.imag=3; return x
y=np.asarray(np.nan_to_num(c*np.array([1,np.inf,np.nan,-0.,1j]))); y.imag.sort(); return y
y=abs(x); y[0]-=1; return y,x
x=x.astype('f4'); x[1]=0; return x
x=np.where(x>0,x,0); x[0]=1; return x
x=np.concatenate([x,x]); x[0]=7; return x
x=np.pad(x,1); x[0]=7; return x
del x; return v
v[1:]=v[1:]-v[:-1]; return v
v[:3],v[2:]=v[2:],v[:3]; return v
h+=1; return h
h[1:]+=h[:-1]; return h
e+=1; return e
e[0:0]=3; return e
"""


def arguments() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 5))
    return {
        "x": x, "f": x.astype("f4"), "i": rng.integers(-5, 9, (4, 5)), "u": rng.integers(0, 255, (4, 5)).astype("u1"), "b": x > 0,
        "h": x.astype("f2"), "c": x + 0j, "v": rng.standard_normal(5), "w": rng.standard_normal(4), "z": np.array(2.0), "e": np.zeros((0, 3)),
        "k": 3, "p": 0.5,
    }  # fmt: skip


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": lambda array: array,
    "Fortran": np.asfortranarray,
    "steps": lambda array: np.repeat(np.repeat(array, 2, 0), 2, 1)[::-2, ::2],
}


def functions(text: str) -> list[Any]:
    """The functions of a text, each under its source."""
    found, body = [], []
    for line in text.strip().splitlines():
        body.append(line)
        if "return" in line:
            name = " / ".join(body)
            code = "def f(x, f, i, u, b, h, c, v, w, z, e, k, p):\n" + "\n".join(f"    {one}" for one in body)
            linecache.cache[name] = (len(code), None, code.splitlines(True), name)
            scope: dict[str, Any] = {"np": np}
            exec(compile(code, name, "exec"), scope)
            found.append(pytest.param(scope["f"], id=name))
            body = []
    return found


def outcome(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    try:
        return function(**given)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        return next(kind for kind in (ValueError, TypeError, IndexError, OverflowError) if isinstance(error, kind))


def same(got: Any, wanted: Any) -> None:
    assert type(got) is type(wanted)
    if isinstance(wanted, (tuple, list)):
        for one, other in zip(got, wanted, strict=True):
            same(one, other)
    elif isinstance(wanted, (np.ndarray, np.generic)):
        close(got, wanted)
    else:
        assert got == wanted


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("function", functions(RIGHT))
def test_as_numpy(function: Callable[..., Any], layout: str) -> None:
    ours, theirs = arguments(), arguments()
    for given in (ours, theirs):
        given |= {name: LAYOUTS[layout](given[name]) for name in "xfiubhc"}
    wanted = outcome(function, theirs)
    same(outcome(nf.jit(function), ours), wanted)
    if not isinstance(wanted, type):  # after an error NumPy may have written a part
        same(list(ours.values()), list(theirs.values()))
