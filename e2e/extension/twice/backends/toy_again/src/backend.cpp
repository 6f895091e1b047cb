#include "larder/backends/toy_again/backend.h"

namespace larder::backends::toy_again {

void Register(object::BackendRegistry& registry) {
  registry.Add({.name = "toy", .help = "Not the first of its name.", .make = nullptr});
}

}  // namespace larder::backends::toy_again
