#include "larder/swarm/ticket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::swarm {
namespace {

using base::IsOk;
using base::IsOkAndHolds;
using base::StatusIs;
using std::chrono::seconds;

const auto kBad = StatusIs(absl::StatusCode::kUnauthenticated, "BAD_TICKET");

TicketKey Key(uint32_t id) { return {.id = id, .secret = {static_cast<uint8_t>(id), 7}}; }

class Ticket : public testing::Test {
 protected:
  Ticket() { EXPECT_THAT(signer_.SetKeys({Key(1)}), IsOk()); }
  auto Verify(std::string_view bytes) const { return signer_.Verify(base::AsBytes(bytes), clock_.WallNow()); }

  base::ManualClock clock_;
  TicketSigner signer_;
  PieceTicket ticket_{.id = {"training", "models/a"},
                      .epoch = {7},
                      .child = "node-b",
                      .parent = {3},
                      .expiry = clock_.WallNow() + seconds(60)};
};

TEST_F(Ticket, IsWhatWasSigned) {
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string bytes, signer_.Sign(ticket_));
  EXPECT_THAT(Verify(bytes), IsOkAndHolds(ticket_));
}

TEST_F(Ticket, IsForgedWithAnyBitChangedOrAnyByteMissing) {
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string bytes, signer_.Sign(ticket_));
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_THAT(Verify(changed), kBad) << at;
    EXPECT_THAT(Verify(bytes.substr(0, at)), kBad) << at;
  }
  EXPECT_THAT(Verify(bytes + "x"), kBad);
  EXPECT_THAT(Verify(std::string(kMaxTicketBytes + 1, '\1')), kBad);
}

TEST_F(Ticket, ExpiresAtItsTimeExactly) {
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string bytes, signer_.Sign(ticket_));
  clock_.Advance(seconds(60) - std::chrono::milliseconds(1));
  EXPECT_THAT(Verify(bytes), IsOk());
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_THAT(Verify(bytes), StatusIs(absl::StatusCode::kUnauthenticated, "TICKET_EXPIRED"));
}

TEST_F(Ticket, OutlivesAChangeOfKeysUntilItsKeyIsGone) {
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string old, signer_.Sign(ticket_));
  ASSERT_THAT(signer_.SetKeys({Key(2), Key(1)}), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string fresh, signer_.Sign(ticket_));
  EXPECT_THAT(Verify(old), IsOk());
  EXPECT_THAT(Verify(fresh), IsOk());
  ASSERT_THAT(signer_.SetKeys({Key(2)}), IsOk());
  EXPECT_THAT(Verify(old), kBad);
  EXPECT_THAT(Verify(fresh), IsOk());
}

TEST_F(Ticket, ByAKeyWithTheSameIdAndAnotherSecretIsForged) {
  TicketSigner other;
  ASSERT_THAT(other.SetKeys({{.id = 1, .secret = {9}}}), IsOk());
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string bytes, other.Sign(ticket_));
  EXPECT_THAT(Verify(bytes), kBad);
}

TEST_F(Ticket, IsSignedForNamesThatCanBeOnly) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, "BAD_TICKET");
  ticket_.child.clear();
  EXPECT_THAT(signer_.Sign(ticket_), refused);
  ticket_.child.assign(254, 'n');
  EXPECT_THAT(signer_.Sign(ticket_), refused);
  ticket_.child = "node-b";
  ticket_.id.key = "/";
  EXPECT_THAT(signer_.Sign(ticket_), refused);
  ticket_.id = {"Not a label", "k"};
  EXPECT_THAT(signer_.Sign(ticket_), refused);
}

TEST_F(Ticket, OfTheLongestNamesFits) {
  const std::string segment(255, 'k');
  ticket_.id = {std::string(63, 'n'), fmt::format("{0}/{0}/{0}/{1}/k", segment, segment.substr(1))};
  ASSERT_EQ(ticket_.id.key.size(), 1024);
  ticket_.child.assign(253, 'c');
  LARDER_ASSERT_OK_AND_ASSIGN(const std::string bytes, signer_.Sign(ticket_));
  EXPECT_LE(bytes.size(), kMaxTicketBytes);
  EXPECT_THAT(Verify(bytes), IsOkAndHolds(ticket_));
}

TEST(TicketSigner, NeedsKeysThatItCanTellApart) {
  TicketSigner signer;
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, "BAD_TICKET_KEYS");
  EXPECT_THAT(signer.SetKeys({}), refused);
  EXPECT_THAT(signer.SetKeys({Key(1), Key(2), Key(1)}), refused);
  const PieceTicket ticket{.id = {"n", "k"}, .child = "c"};
  EXPECT_THAT(signer.Sign(ticket), StatusIs(absl::StatusCode::kFailedPrecondition, "NO_TICKET_KEYS"));
  EXPECT_THAT(signer.Verify({}, {}), kBad);
}

}  // namespace
}  // namespace larder::swarm
