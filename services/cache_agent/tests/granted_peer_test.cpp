#include "core/granted_peer.h"

#include <gmock/gmock.h>

#include <functional>
#include <string>

#include "larder/base/status.h"
#include "larder/base/testing/status_matchers.h"
#include "tests/mock_peer.h"

namespace larder::cache_agent {
namespace {

using base::IsOk;
using base::StatusIs;
using object::Rights;
using object::SessionId;
using object::Verb;
using testing::_;
using testing::HasSubstr;

// A peer whose answer to everything is that it was asked.
class AskedPeer : public testing::NiceMock<MockPeer> {
 public:
  AskedPeer() {
    ON_CALL(*this, OpenSession(_, _)).WillByDefault([this](auto&, auto) { return SessionId{++sessions_}; });
    ON_CALL(*this, Create(_, _, _, _)).WillByDefault([](auto, auto, auto, auto done) { done(Asked()); });
    ON_CALL(*this, Get(_, _, _, _)).WillByDefault([](auto, auto&, auto, auto done) { done(Asked()); });
    ON_CALL(*this, Stat(_, _, _)).WillByDefault([](auto, auto&, auto done) { done(Asked()); });
    ON_CALL(*this, List(_, _, _)).WillByDefault([](auto, auto&, auto done) { done(Asked()); });
    ON_CALL(*this, Delete(_, _, _)).WillByDefault([](auto, auto&, auto done) { done(Asked()); });
    ON_CALL(*this, SetPinned(_, _, _, _)).WillByDefault([](auto, auto&, auto, auto done) { done(Asked()); });
  }

 private:
  static absl::Status Asked() { return base::Error(absl::StatusCode::kNotFound, "ASKED", "asked"); }
  uint64_t sessions_ = 0;
};

class GrantedPeerTest : public testing::Test {
 protected:
  SessionId Open(Rights rights) {
    return *peer_.OpenSession({.ns = "team-b", .rights = rights, .account = "ServiceAccount team-a/trainer"}, nullptr);
  }
  // Each thing that one may ask, with the verb that it takes.
  void ForEachRequest(SessionId session, const std::function<void(Verb, const absl::Status&)>& check) {
    absl::Status answer;
    const auto keep = [&answer](const auto& done) { answer = StatusOf(done); };
    peer_.Create(session, {.key = "k"}, base::kNoDeadline, keep);
    check(Verb::kPut, answer);
    peer_.Get(session, "k", base::kNoDeadline, keep);
    check(Verb::kGet, answer);
    peer_.GetRange(session, "k", {.last = 1}, base::kNoDeadline, keep);
    check(Verb::kGet, answer);
    peer_.Stat(session, "k", keep);
    check(Verb::kGet, answer);
    peer_.List(session, {}, keep);
    check(Verb::kList, answer);
    peer_.Delete(session, "k", keep);
    check(Verb::kDelete, answer);
    peer_.SetPinned(session, "k", true, keep);
    check(Verb::kPin, answer);
  }
  static auto WasAsked() { return StatusIs(absl::StatusCode::kNotFound, "ASKED"); }
  static auto Denied() { return StatusIs(absl::StatusCode::kPermissionDenied, "NO_GRANT"); }

  GrantedPeer peer_{std::make_unique<AskedPeer>()};

 private:
  static absl::Status StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static absl::Status StatusOf(const absl::StatusOr<T>& value) {
    return value.status();
  }
};

TEST_F(GrantedPeerTest, EachVerbAllowsWhatItNamesAndNothingElse) {
  for (const Verb granted : object::kVerbs) {
    ForEachRequest(Open({granted}), [&](Verb needed, const absl::Status& answer) {
      if (needed == granted) {
        EXPECT_THAT(answer, WasAsked()) << VerbName(needed);
      } else {
        EXPECT_THAT(answer, Denied()) << VerbName(needed) << " by " << VerbName(granted);
      }
    });
  }
}

TEST_F(GrantedPeerTest, ARefusalNamesWhoWhatAndWhere) {
  absl::Status answer;
  peer_.Delete(Open({Verb::kGet}), "k", [&answer](const absl::Status& status) { answer = status; });
  EXPECT_THAT(base::Message(answer), HasSubstr("ServiceAccount team-a/trainer may not delete in namespace 'team-b'"));
}

TEST_F(GrantedPeerTest, OneSessionsLimitsAreNoOthers) {
  const SessionId reader = Open({Verb::kGet});
  const SessionId all = Open(Rights::All());
  const SessionId writer = Open({Verb::kPut});
  ForEachRequest(all, [](Verb, const absl::Status& answer) { EXPECT_THAT(answer, WasAsked()); });
  peer_.CloseSession(writer);
  ForEachRequest(reader, [](Verb needed, const absl::Status& answer) {
    if (needed == Verb::kGet) return;
    EXPECT_THAT(answer, Denied()) << VerbName(needed) << ", though another restricted session is closed";
  });
}

TEST_F(GrantedPeerTest, ASessionThatIsClosedIsForgotten) {
  const SessionId reader = Open({Verb::kGet});
  peer_.CloseSession(reader);
  // The peer below says that there is no such session.
  ForEachRequest(reader, [](Verb, const absl::Status& answer) { EXPECT_THAT(answer, WasAsked()); });
}

}  // namespace
}  // namespace larder::cache_agent
