exports.greet = (name) => `Hello from Node, ${name}`;
