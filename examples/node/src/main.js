// The entry point of the service.
const { greet } = require("greeting");

console.log(greet(process.env.WHO || "world"));
