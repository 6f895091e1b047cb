#include "src/session.h"

#include <algorithm>
#include <chrono>

#include "larder/base/status.h"
#include "src/keeper.h"

namespace larder::transport::uds {
namespace {

constexpr base::Duration kAnswerSlack = std::chrono::seconds(1);

}  // namespace

std::shared_ptr<Session> Session::Make(Keeper& keeper, base::UniqueFd fd) {
  // In a forked child it is left as it is: other threads of the parent may have been anywhere in it.
  return {new Session(keeper, std::move(fd)),
          [](Session* session) { session->link.InChild() ? session->link.CloseInChild() : delete session; }};
}

absl::Status Session::Greet(const std::string& ns, uint64_t earlier, base::Deadline deadline) {
  base::ByteWriter hello;
  PutHello(hello, {.ns = ns, .earlier_bytes = earlier, .client = "larder C++"});
  LARDER_ASSIGN_OR_RETURN(const Reply reply, link.Call(Op::kHello, hello.bytes(), deadline));
  base::ByteReader in(reply.payload);
  welcome = TakeWelcome(in);
  welcome.inline_limit = std::min(welcome.inline_limit, kInlineLimit);
  LARDER_RETURN_IF_ERROR(Finished(in, "HELLO's reply"));
  // We would turn in circles.
  const bool turns = welcome.lease_ttl.count() == 0 || welcome.inline_limit == 0 || welcome.piece_limit == 0;
  return turns ? BadRecord("a HELLO with a limit of 0") : absl::OkStatus();
}

void Session::Absorb(Op op, base::ByteSpan payload, std::vector<base::UniqueFd>& fds) {
  if (fds.empty()) return;
  base::ByteReader in(payload);
  const ExtentList list = op == Op::kGet ? TakeGetAnswer(in).shared : TakeExtentList(in);
  for (const WireExtent& extent : list.extents) {
    if (!extent.has_descriptor || fds.empty()) continue;
    keeper_.AddSegment(*this, extent.segment, Mapping::OfSegment(fds.front(), extent.segment_size));
    fds.erase(fds.begin());
  }
}

void Session::Notice(Op op, base::ByteSpan payload) {
  base::ByteReader in(payload);
  if (op == Op::kRevoke) keeper_.AskedBack(*this, TakeSegments(in));
  if (op == Op::kLapsed) keeper_.Lapsed(*this, TakeLeases(in));
}

absl::StatusOr<std::shared_ptr<const Mapping>> Session::OpenWindow(object::LeaseId lease, uint64_t size,
                                                                   base::Deadline deadline) {
  std::vector<uint32_t> segments;
  LARDER_ASSIGN_OR_RETURN(std::shared_ptr<const Mapping> window, MapWindow(link, lease, size, deadline, segments));
  base::MutexLock lock(mutex_);
  std::erase_if(windows_, [](const auto& known) { return known.expired(); });
  windows_.push_back(window);
  return window;
}

std::vector<std::weak_ptr<const Mapping>> Session::Leave() {
  base::MutexLock lock(mutex_);
  std::vector<std::weak_ptr<const Mapping>> held = std::move(windows_);
  held.push_back(ring.Leave());
  return held;
}

void Session::Release(object::LeaseId lease) {
  base::ByteWriter out;
  out.U64(lease.value);
  link.Tell(Op::kRelease, out.bytes());
}

uint32_t WaitMs(base::Deadline deadline) {
  if (deadline == base::kNoDeadline) return kNoWaitLimit;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - base::SystemClock().Now());
  return static_cast<uint32_t>(std::clamp<int64_t>(left.count(), 0, kNoWaitLimit - 1));
}

base::Deadline AnswerBy(base::Deadline deadline) { return base::DeadlineAfter(deadline, kAnswerSlack); }

}  // namespace larder::transport::uds
