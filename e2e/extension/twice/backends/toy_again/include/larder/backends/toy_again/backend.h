#pragma once
#include "larder/object/registries.h"

namespace larder::backends::toy_again {

// A backend whose name is another's: no program starts with it.
void Register(object::BackendRegistry& registry);

}  // namespace larder::backends::toy_again
