#include "verbs/all.h"

namespace larder::cli {

std::vector<Verb> AllVerbs() {
  return {ImportVerb(),     ExportVerb(),      StatVerb(),           ListVerb(),      DeleteVerb(), PinVerb(),
          UnpinVerb(),      NodesVerb(),       TrackerStatusVerb(),  TopVerb(),       DoctorVerb(), DevVerb(),
          ConfigShowVerb(), ConfigCheckVerb(), UninstallCheckVerb(), CompletionVerb()};
}

}  // namespace larder::cli
