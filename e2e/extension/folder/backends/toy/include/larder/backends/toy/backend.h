#pragma once
#include "larder/object/registries.h"

namespace larder::backends::toy {

// Objects in strings, lost with the process: the least that keeps the backend contract.
void Register(object::BackendRegistry& registry);

}  // namespace larder::backends::toy
