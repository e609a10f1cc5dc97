-- What Lua code may rely on inside the server's function sandbox.
std = "lua51"
max_line_length = 100
-- `require` stays allowed: the bundler hands each module one of its own.
read_globals = { "server", "redis", "cjson", "cmsgpack", "bit", "struct" }
not_globals = { "io", "os", "print", "dofile", "loadfile", "module", "package" }
exclude_files = { "lua/generated" }
-- An op names everything it is given, as its contract does, also what it does not need.
unused_args = false
-- The bundler gives the entry module the name that the library and its functions carry.
files["lua/main.lua"] = { read_globals = { "LIBRARY" } }
