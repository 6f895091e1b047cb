#pragma once
#include <absl/status/statusor.h>

#include "core/context.h"
#include "core/source.h"
#include "larder/base/digest.h"
#include "larder/object/peer.h"

namespace larder::cli {

struct Imported {
  object::SealResult result;
  bool untouched = false;  // the object was there with the same bytes: none travelled
};

// One source as one object: small files in one round trip, what is there already by comparing with it, all else
// straight into the writer's memory. Nothing is left behind by a failure or an interrupt. `expected` of kind kNone: not
// checked. Errors: object::Peer::Create and Seal, Source, Interrupts.
absl::StatusOr<Imported> ImportFile(Context& context, client::Client& client, Source& source,
                                    const object::CreateRequest& request, const base::Digest& expected);

}  // namespace larder::cli
