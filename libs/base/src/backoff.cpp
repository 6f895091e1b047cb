#include "larder/base/backoff.h"

#include <algorithm>
#include <random>

namespace larder::base {

Duration BackoffDelay(int failures, Duration first, Duration cap, double random) {
  const Duration whole = std::min(cap, first * (int64_t{1} << std::clamp(failures, 0, 20)));
  const auto half = static_cast<double>(whole.count()) / 2;
  return Duration(static_cast<Duration::rep>(half + half * random));
}

double BackoffRandom() {
  static thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<>(0, 1)(generator);
}

}  // namespace larder::base
