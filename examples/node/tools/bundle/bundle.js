#!/usr/bin/env node
// Copies every .js file of one folder to another and drops what begins with `//`: a build step to stand for the real ones.
const fs = require("fs");
const path = require("path");

const [from, to] = process.argv.slice(2);
fs.mkdirSync(to, { recursive: true });
for (const name of fs.readdirSync(from).filter((file) => file.endsWith(".js"))) {
  const lines = fs.readFileSync(path.join(from, name), "utf8").split("\n");
  fs.writeFileSync(path.join(to, name), lines.filter((line) => !line.startsWith("//")).join("\n"));
}
