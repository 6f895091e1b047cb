// A fetch whose one parent says whatever it likes, in whatever order.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "larder/base/codec.h"
#include "larder/base/digest.h"
#include "larder/object/grains.h"
#include "larder/observe/registry.h"
#include "src/fetch_machine.h"

using namespace larder;

namespace {

constexpr uint32_t kPiece = swarm::kMinPieceLength;
constexpr uint64_t kRange = 60'013;

// Pieces that are verified must be those of the object.
class Checked final : public swarm::Destination {
 public:
  explicit Checked(std::string object) : object_(std::move(object)), bytes_(object_.size(), '\0') {}
  absl::Status Prepare(const std::shared_ptr<const swarm::Manifest>& manifest,
                       const std::shared_ptr<swarm::PieceMap>&) override {
    if (manifest->size != object_.size()) std::abort();
    return absl::OkStatus();
  }
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override {
    if (offset + size > bytes_.size() || offset / kPiece != (offset + size - 1) / kPiece) std::abort();
    // Its memory lies in ranges of kRange bytes.
    return std::as_writable_bytes(std::span(bytes_)).subspan(offset, std::min(size, kRange - offset % kRange));
  }
  absl::Status Verified(uint32_t piece) override {
    if (bytes_.compare(uint64_t{piece} * kPiece, kPiece, object_, uint64_t{piece} * kPiece, kPiece) != 0) std::abort();
    return absl::OkStatus();
  }

 private:
  const std::string object_;
  std::string bytes_;
};

struct Parts {
  Parts() : object(3 * kPiece + 100, 'x') {
    object::GrainSums sums;
    sums.Append(base::AsBytes(object));
    manifest = swarm::MakeManifest(sums.size(), sums.grains(), kPiece, {}).value();
  }
  std::string object;
  swarm::Manifest manifest;
  observe::Registry registry;
  swarm::Metrics metrics{registry};
};

// One thing that the parent, or time, does; `in` says which and how.
void Step(swarm::FetchMachine& machine, const Parts& parts, base::ByteReader& in, base::MonotonicTime& now) {
  const uint8_t what = in.U8();
  const auto tell = [&](const std::string& frame) {
    machine.OnFrame(1, **swarm::NextControl(base::AsBytes(frame)), now);
  };
  switch (what % 8) {
    case 0:
      machine.OnConnected(1, now);
      break;
    case 1:
      tell(swarm::EncodeManifestFrame(parts.manifest, (what & 8) != 0, (what & 16) != 0));
      break;
    case 2:
      tell(swarm::Encode(swarm::HaveFrame{.state = static_cast<swarm::PieceMap::State>(in.U8() % 3),
                                          .runs = {{in.U8() % 5U, 1U + in.U8() % 5U}}}));
      break;
    case 3:
      tell(swarm::Encode(swarm::ErrorFrame{.request = in.U8() % 8U, .reason = in.U8()}));
      break;
    case 4: {
      const uint64_t offset = uint64_t{in.U8()} * 4096;
      const swarm::PieceFrame frame{
          .request = 1U + in.U8() % 8U, .piece = in.U8() % 5U, .offset = static_cast<uint32_t>(offset % kPiece)};
      const uint32_t size = 1 + in.U16() * 4U;
      uint32_t crc = 0;
      uint32_t part = 0;
      while (part < size) {
        const auto room = machine.Room(1, frame, part, size - part);
        if (!room.ok()) machine.OnMalformed(1, room.status(), now);
        if (!room.ok() || room->empty()) break;
        std::memset(room->data(), (what & 8) != 0 ? 'y' : 'x', room->size());
        crc = base::Crc32c(*room, crc);
        part += static_cast<uint32_t>(room->size());
      }
      if (part == size) machine.OnData(1, frame, size, crc, now);
      break;
    }
    case 5:
      machine.OnClosed(1, absl::UnavailableError("closed"), now);
      break;
    case 6:
      now += std::chrono::milliseconds(in.U16());
      break;
    default:
      if ((what & 16) != 0) {
        machine.Want({in.U8() % 5U, in.U8()}, now);
        break;
      }
      (what & 8) != 0 ? machine.OnWanted(1, now) : machine.OnBytes(1, now);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Parts* parts = new Parts;
  base::ByteReader in(std::as_bytes(std::span(data, size)));
  base::MonotonicTime now{std::chrono::hours(1)};
  swarm::FetchRequest request{.id = {"n", "k"},
                              .parents = {{.node = "a", .address = "a:1", .ticket = "t"}},
                              .destination = std::make_shared<Checked>(parts->object)};
  if (size > 0 && (data[size - 1] & 1) != 0) request.wanted = std::vector<swarm::PieceRun>{{1, 1}};
  swarm::FetchMachine machine(std::move(request), {}, parts->metrics, 1, now);
  while (in.ok() && !in.rest().empty() && !machine.result()) {
    machine.Advance(now);
    machine.TakeActions();
    Step(machine, *parts, in, now);
  }
  if (machine.result() && machine.result()->status.ok() && !machine.result()->held.full()) std::abort();
  return 0;
}
