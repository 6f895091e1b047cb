#include "larder/transport/toy/transport.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <future>
#include <map>
#include <set>
#include <utility>

#include "larder/base/gate.h"
#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::transport::toy {
namespace {

constexpr uint64_t kStep = 64 * base::kKiB;  // most that one Prepare gives

absl::Status Ended() {
  return base::Error(absl::StatusCode::kFailedPrecondition, "ENDED", "the object is sealed, discarded, or has failed");
}
absl::Status Mixed() {
  return base::Error(absl::StatusCode::kFailedPrecondition, "MIXED_WRITE",
                     "an object is filled either through its buffer, asked for once, or by writes");
}

// Waits for the answer of a call that may give it on another thread.
template <typename T, typename Begin>
T Await(Begin begin) {
  auto promise = std::make_shared<std::promise<T>>();
  begin([promise](T answer) { promise->set_value(std::move(answer)); });
  return promise->get_future().get();
}

// One session. Thread-safe.
class Line {
 public:
  Line(object::Peer& peer, object::SessionId session, std::string ns, std::string node)
      : ns(std::move(ns)), node(std::move(node)), peer_(peer), session_(session) {}

  // What `call` of the peer and the session answers; CONNECTION_LOST once the line is cut. No thread renews leases:
  // every call does.
  template <typename Call>
  auto On(Call call) -> decltype(call(std::declval<object::Peer&>(), object::SessionId())) {
    const auto pass = gate_.Enter();
    if (!pass) return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the listener has stopped");
    LARDER_RETURN_IF_ERROR(peer_.Renew(session_).status());
    return call(peer_, session_);
  }
  // Lets running calls end until `deadline`, then ends the session. When it returns, nothing uses the peer.
  void Cut(base::Deadline deadline) LARDER_EXCLUDES(cutting_) {
    base::MutexLock lock(cutting_);
    if (std::exchange(cut_, true)) return;
    gate_.Close(deadline);
    peer_.CloseSession(session_);  // calls that wait for others end now
    gate_.Close(base::kNoDeadline);
  }

  const std::string ns;
  const std::string node;

 private:
  object::Peer& peer_;
  const object::SessionId session_;
  base::Gate gate_;
  base::Mutex cutting_;
  bool cut_ LARDER_GUARDED_BY(cutting_) = false;
};

// A listener's sessions. Outlives it, for the channels that do. Thread-safe.
class Desk {
 public:
  explicit Desk(object::ListenSettings settings) : settings_(std::move(settings)) {}

  absl::StatusOr<std::shared_ptr<Line>> Open(const object::DialOptions& options) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (closed_) return base::Error(absl::StatusCode::kUnavailable, "NO_AGENT", "the listener has stopped");
    LARDER_ASSIGN_OR_RETURN(const object::SessionOwner owner, settings_.identify({.pid = ::getpid()}, options.ns));
    LARDER_ASSIGN_OR_RETURN(const object::SessionId session, settings_.peer->OpenSession(owner));
    auto line = std::make_shared<Line>(*settings_.peer, session, owner.ns, settings_.node);
    lines_.insert(line);
    if (settings_.observer != nullptr) settings_.observer->ConnectionOpened();
    return line;
  }
  void HangUp(const std::shared_ptr<Line>& line) LARDER_EXCLUDES(mutex_) {
    line->Cut(base::kNoDeadline);
    base::MutexLock lock(mutex_);
    if (lines_.erase(line) > 0 && settings_.observer != nullptr) settings_.observer->ConnectionClosed();
  }
  void Close(base::Deadline deadline) LARDER_EXCLUDES(mutex_) {
    std::set<std::shared_ptr<Line>> lines;
    {
      base::MutexLock lock(mutex_);
      closed_ = true;
      lines.swap(lines_);
    }
    for (const auto& line : lines) {
      line->Cut(deadline);
      if (settings_.observer != nullptr) settings_.observer->ConnectionClosed();
    }
  }

 private:
  const object::ListenSettings settings_;
  base::Mutex mutex_;
  bool closed_ LARDER_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<Line>> lines_ LARDER_GUARDED_BY(mutex_);
};

// Which desk is at which address. Thread-safe.
class Board {
 public:
  bool Put(const std::string& address, std::shared_ptr<Desk> desk) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return desks_.emplace(address, std::move(desk)).second;
  }
  void Take(const std::string& address) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    desks_.erase(address);
  }
  std::shared_ptr<Desk> Find(const std::string& address) LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    const auto found = desks_.find(address);
    return found == desks_.end() ? nullptr : found->second;
  }

 private:
  base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Desk>> desks_ LARDER_GUARDED_BY(mutex_);
};

class ToyListener final : public object::Listener {
 public:
  ToyListener(const object::ListenSettings& settings, std::shared_ptr<Board> board)
      : address_(settings.address), board_(std::move(board)), desk_(std::make_shared<Desk>(settings)) {}
  ~ToyListener() override { Stop(base::kNoDeadline); }
  absl::Status Start() override {
    listening_ = board_->Put(address_, desk_);
    if (listening_) return absl::OkStatus();
    return base::Error(absl::StatusCode::kAlreadyExists, "LOCKED", "another listener serves '{}'", address_);
  }
  void Stop(base::Deadline deadline) override {
    if (!std::exchange(listening_, false)) return;
    board_->Take(address_);
    desk_->Close(deadline);
  }

 private:
  const std::string address_;
  const std::shared_ptr<Board> board_;
  const std::shared_ptr<Desk> desk_;
  bool listening_ = false;
};

class ToyWriter final : public object::ObjectWriter {
 public:
  ToyWriter(std::shared_ptr<Line> line, const object::CreateGrant& grant) : line_(std::move(line)), grant_(grant) {}
  ~ToyWriter() override { Discard().IgnoreError(); }

  object::Epoch epoch() const override { return grant_.epoch; }
  absl::StatusOr<base::MutableByteSpan> Buffer(uint64_t size) override {
    if (mode_ == Mode::kEnded) return Ended();
    if (mode_ != Mode::kFresh) return Mixed();
    mode_ = Mode::kBuffer;
    bytes_.assign(size, std::byte{0});
    return base::MutableByteSpan(bytes_);
  }
  absl::Status Write(base::ByteSpan bytes) override {
    if (mode_ == Mode::kEnded) return Ended();
    if (bytes.empty()) return absl::OkStatus();
    if (mode_ == Mode::kBuffer) return Mixed();
    mode_ = Mode::kWrites;
    return Append(bytes);
  }
  absl::StatusOr<base::MutableByteSpan> Prepare(uint64_t want) override {
    if (mode_ == Mode::kEnded) return Ended();
    if (mode_ == Mode::kBuffer) return Mixed();
    mode_ = Mode::kWrites;
    bytes_.resize(std::clamp<uint64_t>(want, 1, kStep));
    return base::MutableByteSpan(bytes_);
  }
  absl::Status Commit(uint64_t written) override { return Write(base::ByteSpan(bytes_).first(written)); }
  absl::StatusOr<object::SealResult> Seal(const base::Digest& expected) override {
    if (mode_ == Mode::kEnded) return Ended();
    if (mode_ == Mode::kBuffer) LARDER_RETURN_IF_ERROR(Append(bytes_));
    mode_ = Mode::kEnded;
    return line_->On([&](object::Peer& peer, object::SessionId session) {
      return Await<absl::StatusOr<object::SealResult>>([&](auto done) {
        peer.Seal(session, grant_.lease, grant_.epoch, {.size = sent_, .expected = expected}, std::move(done));
      });
    });
  }
  absl::Status Discard() override {
    if (std::exchange(mode_, Mode::kEnded) == Mode::kEnded) return Ended();
    return line_->On([&](object::Peer& peer, object::SessionId session) {
      return peer.Discard(session, grant_.lease, grant_.epoch);
    });
  }

 private:
  enum class Mode { kFresh, kWrites, kBuffer, kEnded };
  absl::Status Append(base::ByteSpan bytes) {
    const absl::Status appended = line_->On([&](object::Peer& peer, object::SessionId session) {
      return peer.Append(session, grant_.lease, grant_.epoch, bytes);
    });
    if (!appended.ok()) Discard().IgnoreError();
    sent_ += bytes.size();
    return appended;
  }

  const std::shared_ptr<Line> line_;
  const object::CreateGrant grant_;
  Mode mode_ = Mode::kFresh;
  std::vector<std::byte> bytes_;  // the buffer, or what was prepared
  uint64_t sent_ = 0;
};

// Reads a copy, so that it outlives the agent whose memory the object is in.
class ToyReader final : public object::ObjectReader {
 public:
  ToyReader(std::shared_ptr<Line> line, const object::ReadGrant& grant, std::vector<std::byte> bytes)
      : line_(std::move(line)), lease_(grant.lease), info_(grant.info), bytes_(std::move(bytes)) {}
  ~ToyReader() override {
    auto release = [&](object::Peer& peer, object::SessionId session) {
      peer.Release(session, lease_);
      return absl::OkStatus();
    };
    line_->On(release).IgnoreError();
  }
  const object::ObjectInfo& info() const override { return info_; }
  std::optional<base::ByteSpan> Bytes() const override { return bytes_; }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{} of an object of {}", offset,
                         out.size(), bytes_.size());
    }
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<Line> line_;
  const object::LeaseId lease_;
  const object::ObjectInfo info_;
  const std::vector<std::byte> bytes_;
};

class ToyChannel final : public object::Channel {
 public:
  // `line` hangs up when its last holder, this or a reader or a writer, is gone.
  explicit ToyChannel(std::shared_ptr<Line> line) : line_(std::move(line)) {}

  absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Create(const object::CreateRequest& request,
                                                               base::Deadline deadline) override {
    LARDER_ASSIGN_OR_RETURN(const object::CreateGrant grant,
                            line_->On([&](object::Peer& peer, object::SessionId session) {
                              return Await<absl::StatusOr<object::CreateGrant>>(
                                  [&](auto done) { peer.Create(session, request, deadline, std::move(done)); });
                            }));
    return std::make_unique<ToyWriter>(line_, grant);
  }
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> Get(const std::string& key, base::Deadline deadline) override {
    std::vector<std::byte> bytes;
    auto get = [&](object::Peer& peer, object::SessionId session) -> absl::StatusOr<object::ReadGrant> {
      LARDER_ASSIGN_OR_RETURN(object::ReadGrant grant, Await<absl::StatusOr<object::ReadGrant>>([&](auto done) {
                                peer.Get(session, key, deadline, std::move(done));
                              }));
      bytes.resize(grant.view->size());
      const absl::Status read = grant.view->Read(0, bytes);
      if (!read.ok()) {
        peer.Release(session, grant.lease);
        return read;
      }
      grant.view.reset();
      return grant;
    };
    LARDER_ASSIGN_OR_RETURN(const object::ReadGrant grant, line_->On(get));
    return std::make_unique<ToyReader>(line_, grant, std::move(bytes));
  }
  absl::StatusOr<object::SealResult> Put(const object::CreateRequest& request, base::ByteSpan bytes,
                                         base::Deadline deadline) override {
    object::CreateRequest sized = request;
    sized.size_hint = bytes.size();
    LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectWriter> writer, Create(sized, deadline));
    LARDER_RETURN_IF_ERROR(writer->Write(bytes));
    return writer->Seal({});
  }
  absl::StatusOr<object::ObjectInfo> Stat(const std::string& key, base::Deadline) override {
    return line_->On([&](object::Peer& peer, object::SessionId session) -> absl::StatusOr<object::ObjectInfo> {
      LARDER_ASSIGN_OR_RETURN(object::ObjectStat stat, Await<absl::StatusOr<object::ObjectStat>>([&](auto done) {
                                peer.Stat(session, key, std::move(done));
                              }));
      return std::move(stat.info);
    });
  }
  absl::StatusOr<object::ListPage> List(const object::ListRequest& request, base::Deadline) override {
    return line_->On([&](object::Peer& peer, object::SessionId session) {
      return Await<absl::StatusOr<object::ListPage>>([&](auto done) { peer.List(session, request, std::move(done)); });
    });
  }
  absl::Status Delete(const std::string& key, base::Deadline) override {
    return line_->On([&](object::Peer& peer, object::SessionId session) {
      return Await<absl::Status>([&](auto done) { peer.Delete(session, key, std::move(done)); });
    });
  }
  absl::Status SetPinned(const std::string& key, bool pinned, base::Deadline) override {
    return line_->On([&](object::Peer& peer, object::SessionId session) {
      return Await<absl::Status>([&](auto done) { peer.SetPinned(session, key, pinned, std::move(done)); });
    });
  }
  const std::string& ns() const override { return line_->ns; }
  const std::string& node() const override { return line_->node; }
  bool broken() const override {
    auto nothing = [](object::Peer&, object::SessionId) { return absl::OkStatus(); };
    return !line_->On(nothing).ok();
  }

 private:
  const std::shared_ptr<Line> line_;
};

}  // namespace

void Register(object::TransportRegistry& registry) {
  auto board = std::make_shared<Board>();
  registry.Add(
      {.name = "toy",
       .help = "A loop within one process.",
       .dial = [board](const std::string& address,
                       const object::DialOptions& options) -> absl::StatusOr<std::unique_ptr<object::Channel>> {
         const std::shared_ptr<Desk> desk = board->Find(address);
         if (desk == nullptr) {
           return base::Error(absl::StatusCode::kUnavailable, "NO_AGENT", "nobody listens at '{}'", address);
         }
         LARDER_ASSIGN_OR_RETURN(std::shared_ptr<Line> line, desk->Open(options));
         Line* const session = line.get();
         return std::make_unique<ToyChannel>(
             std::shared_ptr<Line>(session, [desk, line = std::move(line)](Line*) { desk->HangUp(line); }));
       },
       .listen = [board](const object::ListenSettings& settings) -> absl::StatusOr<std::unique_ptr<object::Listener>> {
         return std::make_unique<ToyListener>(settings, board);
       }});
}

}  // namespace larder::transport::toy
