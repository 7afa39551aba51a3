#include "app/cli.hpp"

int main(int argc, char** argv) { return rbee::run_command_line(argc, argv); }
