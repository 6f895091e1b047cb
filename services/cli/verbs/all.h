#pragma once
#include <vector>

#include "core/verb.h"

namespace larder::cli {

Verb CompletionVerb();
Verb ConfigCheckVerb();
Verb ConfigShowVerb();
Verb DeleteVerb();
Verb DevVerb();
Verb DoctorVerb();
Verb ExportVerb();
Verb ImportVerb();
Verb ListVerb();
Verb NodesVerb();
Verb PinVerb();
Verb StatVerb();
Verb TopVerb();
Verb TrackerStatusVerb();
Verb UninstallCheckVerb();
Verb UnpinVerb();

// In the order of help; the verbs of a group side by side.
std::vector<Verb> AllVerbs();

}  // namespace larder::cli
