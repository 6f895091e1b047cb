#pragma once
#include "larder/base/clock.h"

namespace larder::base {

// How long to wait after failure number `failures` (the first is 0): `first`, doubled with each, at most `cap`, less up
// to half of it: `random`, within [0, 1), says how much is left, so that many who failed together do not come again
// together. Pure.
Duration BackoffDelay(int failures, Duration first, Duration cap, double random);
// `random` for it, of this thread's own generator.
double BackoffRandom();

}  // namespace larder::base
