#pragma once
#include "larder/object/registries.h"

namespace larder::transport::toy {

// A loop: channels call the peer on the caller's own thread, in the same process. The address is any name. Dialers find
// the listeners that were made from the same registry, so that nothing is global.
void Register(object::TransportRegistry& registry);

}  // namespace larder::transport::toy
