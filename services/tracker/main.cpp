#include "larder/rpc/run_service.h"
#include "larder/tracker/app.h"

int main(int argc, char** argv) { return larder::rpc::RunService<larder::tracker::App>(argc, argv); }
