#include "src/must.h"

#include <cstdio>
#include <stdexcept>

namespace larder::bench {

void Die(const std::string& why) { throw std::runtime_error(why); }

void Must(const absl::Status& status) {
  if (!status.ok()) Die(base::Message(status));
}

int RunMain(int (*run)(int argc, char** argv), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}

}  // namespace larder::bench
