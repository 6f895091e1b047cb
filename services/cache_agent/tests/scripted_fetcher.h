#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/object/grains.h"
#include "larder/swarm/fetch.h"

namespace larder::cache_agent {

// Fetches that do what a test says. One thread.
class ScriptedFetcher final : public swarm::Fetcher {
 public:
  struct Begun final : swarm::Fetch {
    void AddParent(swarm::Parent parent) override { request.parents.push_back(std::move(parent)); }
    void RemoveParent(std::string) override {}
    void Want(swarm::PieceRun pieces) override { wanted.push_back(pieces); }
    void Cancel() override { cancelled = true; }

    std::vector<std::string> Parents() const {
      std::vector<std::string> nodes;
      for (const swarm::Parent& parent : request.parents) nodes.push_back(parent.node);
      return nodes;
    }
    // A parent of a sealed object with these bytes, all of which come; or only some of its pieces.
    absl::Status Send(std::string_view bytes, uint32_t piece_length, uint32_t pieces = UINT32_MAX) {
      const absl::Status begun = Open(bytes, piece_length);
      if (!begun.ok()) return begun;
      for (uint32_t piece = 0; piece < std::min(pieces, manifest->piece_count()); ++piece) {
        if (const absl::Status sent = SendPiece(bytes, piece); !sent.ok()) return sent;
      }
      return absl::OkStatus();
    }
    // Its list of pieces comes; none of them.
    absl::Status Open(std::string_view bytes, uint32_t piece_length) {
      object::GrainSums sums;
      sums.Append(base::AsBytes(bytes));
      manifest = std::make_shared<const swarm::Manifest>(
          swarm::MakeManifest(sums.size(), sums.grains(), piece_length, {}).value());
      map = std::make_shared<swarm::PieceMap>(swarm::PieceSet(manifest->piece_count()));
      const absl::Status prepared = request.destination->Prepare(manifest, map);
      if (!prepared.ok()) return prepared;
      held = swarm::PieceSet(manifest->piece_count());
      return absl::OkStatus();
    }
    // One of them, unless it was there before.
    absl::Status SendPiece(std::string_view bytes, uint32_t piece) {
      if (!request.held || request.held->size() != held.size() || !request.held->Has(piece)) {
        ++sent;
        const uint64_t end = manifest->OffsetOf(piece) + manifest->SizeOf(piece);
        for (uint64_t at = manifest->OffsetOf(piece); at < end;) {
          const base::MutableByteSpan place = request.destination->At(at, end - at);
          std::memcpy(place.data(), bytes.data() + at, place.size());
          at += place.size();
        }
        const absl::Status verified = request.destination->Verified(piece);
        if (!verified.ok()) return verified;
      }
      held.Add(piece);
      map->Set(piece, swarm::PieceMap::State::kHeld);
      return absl::OkStatus();
    }
    void End(absl::Status status) {
      request.destination.reset();
      std::exchange(callbacks.done, nullptr)({.status = std::move(status), .manifest = manifest, .held = held});
    }
    // Of the parent as it was asked last.
    void Fail(const std::string& node, absl::Status why, bool final = true) {
      swarm::NodeEpoch epoch;
      for (const swarm::Parent& parent : request.parents) {
        if (parent.node == node) epoch = parent.node_epoch;
      }
      callbacks.failed({.node = node, .node_epoch = epoch, .why = std::move(why), .final = final});
    }

    swarm::FetchRequest request;
    Callbacks callbacks;
    std::shared_ptr<const swarm::Manifest> manifest;
    swarm::PieceSet held;                  // those that came, now or before
    uint32_t sent = 0;                     // now
    std::shared_ptr<swarm::PieceMap> map;  // of what has come
    std::vector<swarm::PieceRun> wanted;   // since it began
    bool cancelled = false;
  };

  std::shared_ptr<swarm::Fetch> Begin(swarm::FetchRequest request, Callbacks callbacks) override {
    fetches.push_back(std::make_shared<Begun>());
    fetches.back()->request = std::move(request);
    fetches.back()->callbacks = std::move(callbacks);
    return fetches.back();
  }
  void Stop() override {}

  std::vector<std::shared_ptr<Begun>> fetches;
};

}  // namespace larder::cache_agent
