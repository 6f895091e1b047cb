#pragma once
#include "larder/object/registries.h"

namespace larder::peers {

// Adds this library's peers: "single".
void Register(object::PeerRegistry& registry);

}  // namespace larder::peers
