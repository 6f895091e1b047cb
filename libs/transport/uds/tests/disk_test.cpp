// A store that waits for a disk does not keep other clients waiting.
#include "larder/object/peer_decorator.h"
#include "tests/agent_side.h"

namespace larder::transport::uds {
namespace {

// Its disk stands still while it frees something, until the test goes on.
class StuckPeer final : public object::PeerDecorator {
 public:
  using PeerDecorator::PeerDecorator;
  bool blocks() const override { return true; }
  void CloseSession(object::SessionId session) override {
    Stick();
    inner().CloseSession(session);
  }
  void Release(object::SessionId session, object::LeaseId lease) override {
    Stick();
    inner().Release(session, lease);
  }

  void AwaitStuck() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    while (!stuck_) changed_.Wait(mutex_);
  }
  // Whether it was stuck until now, and did not give up before.
  bool GoOn() LARDER_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    going_ = true;
    changed_.NotifyAll();
    return stuck_;
  }

 private:
  void Stick() LARDER_EXCLUDES(mutex_) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    base::MutexLock lock(mutex_);
    stuck_ = true;
    changed_.NotifyAll();
    while (!going_ && changed_.WaitUntil(mutex_, until)) {
    }
    stuck_ = false;
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  bool stuck_ LARDER_GUARDED_BY(mutex_) = false;
  bool going_ LARDER_GUARDED_BY(mutex_) = false;
};

class StuckDisk : public AgentSide {
 protected:
  void Change(object::ListenSettings& settings) override { settings.peer = &stuck_; }
  StuckPeer stuck_{std::make_unique<peers::SinglePeer>(*backend_, peer_settings())};
};

TEST_F(StuckDisk, OfAClientThatIsGoneKeepsNoOtherWaiting) {
  base::UniqueFd leaving = Greeted();
  const base::UniqueFd other = Greeted();
  leaving.Reset();
  stuck_.AwaitStuck();
  EXPECT_THAT(Ask(other.get(), Op::kPing, {}), IsOk());
  EXPECT_TRUE(stuck_.GoOn());
  EXPECT_TRUE(Eventually([&] { return stuck_.usage().sessions == 1; }));
}

TEST_F(StuckDisk, OfAReleaseKeepsNoOtherWaiting) {
  const base::UniqueFd releasing = Greeted();
  const base::UniqueFd other = Greeted();
  SendOp(releasing.get(), Op::kRelease, base::ByteWriter().U64(1));
  stuck_.AwaitStuck();
  EXPECT_THAT(Ask(other.get(), Op::kPing, {}), IsOk());
  EXPECT_TRUE(stuck_.GoOn());
  EXPECT_THAT(Receive(releasing.get()), IsOk());
}

}  // namespace
}  // namespace larder::transport::uds
