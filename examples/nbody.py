"""Bodies that attract each other: leapfrog steps and the energy's drift, in plain NumPy and in fused kernels.

NumPy holds the distances between all pairs in memory, several times over. The kernels compute a pair where it is summed, so
that their workspace grows with the number of bodies and not with its square.
"""

import sys

import numpy as np
from _show import arguments, at_least, compare, relative_error

import numfuse

EPILOG = """examples:
  python examples/nbody.py                           2000 bodies, 20 steps
  python examples/nbody.py --count 4000 --steps 5
"""

SOFTENING = 0.05
"""Keeps the attraction of close bodies finite. The gravitational constant and the total mass are 1."""


def pairs(position):
    """The vectors from each body to each other one, and the softened square of their lengths."""
    dx, dy, dz = [along - along[:, None] for along in position]
    return (dx, dy, dz), dx * dx + dy * dy + dz * dz + SOFTENING**2


def acceleration(position, mass):
    """(3, n), the sum over all bodies of mass * vector / distance**3."""
    vectors, square = pairs(position)
    weight = mass / (square * np.sqrt(square))
    return np.stack([(weight * vector).sum(axis=1) for vector in vectors])


def step(position, velocity, mass, dt):
    """A leapfrog step: half the way, the change of velocity there, and the other half."""
    position = position + 0.5 * dt * velocity
    velocity = velocity + dt * acceleration(position, mass)
    return position + 0.5 * dt * velocity, velocity


def energy(position, velocity, mass):
    """Kinetic and potential energy; a body has no potential on itself."""
    _, square = pairs(position)
    potential = (mass / np.sqrt(square)).sum(axis=1) - mass / SOFTENING
    return 0.5 * (mass * (velocity**2).sum(axis=0)).sum() - 0.5 * (mass * potential).sum()


def run(stepped, steps, position, velocity, mass, dt):
    for _ in range(steps):
        position, velocity = stepped(position, velocity, mass, dt)
    return position, velocity


def lean(fused, *args):
    """Prints the size of the workspace; returns whether it grows with the bodies, and not with their pairs."""
    count = args[0].shape[1]
    workspace = fused.lower(*args).compile().memory_analysis()["workspace"]
    print(f"  workspace     {workspace:9} bytes, where an array of all pairs takes {8 * count**2}")
    return workspace <= 64 * count + 1024


def main():
    parser = arguments(__doc__.split("\n")[0], EPILOG)
    parser.add_argument("--count", type=at_least(2), default=2000, help="how many bodies (default: 2000)")
    parser.add_argument("--steps", type=at_least(1), default=20, help="how many steps (default: 20)")
    chosen = parser.parse_args()
    random = np.random.default_rng(0)
    position = random.standard_normal((3, chosen.count))
    velocity = 0.4 * random.standard_normal((3, chosen.count))
    mass = np.full(chosen.count, 1 / chosen.count)
    dt = 0.01
    fused_step, fused_energy = numfuse.jit(step), numfuse.jit(energy)

    right = compare(step, fused_step, position, velocity, mass, dt, tolerance=1e-12)
    right &= lean(fused_step, position, velocity, mass, dt)
    print()
    right &= compare(energy, fused_energy, position, velocity, mass, tolerance=1e-12)
    right &= lean(fused_energy, position, velocity, mass)
    print()
    end = run(fused_step, chosen.steps, position, velocity, mass, dt)
    error = relative_error(end, run(step, chosen.steps, position, velocity, mass, dt))
    before, after = fused_energy(position, velocity, mass), fused_energy(*end, mass)
    right &= error <= 1e-9
    print(f"after {chosen.steps} steps")
    print(f"  energy        {before:.9f} -> {after:.9f}, a drift of {abs(after / before - 1):.1e}")
    print(f"  error         {error:9.1e}      of positions and velocities, relative to NumPy")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
