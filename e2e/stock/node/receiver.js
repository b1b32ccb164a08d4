// Receives webhooks and has a library check them, exactly as its users do.
// Usage: node receiver.js LIBRARY ADDRESS, with the library "standardwebhooks" or
// "svix". Prints "listening PORT", and then "message WEBHOOK-ID BODY" for what was
// accepted and "refused REASON" for the rest. Each line on its standard input is
// the secret from now on; "knows" says that it is.
import http from 'node:http'
import readline from 'node:readline'
import { createRequire } from 'node:module'

const { Webhook } = createRequire(import.meta.url)(process.argv[2])

const say = (...words) => process.stdout.write(words.join(' ') + '\n')
let webhook

function receive(body, request, response) {
  try {
    webhook.verify(body, request.headers)
  } catch (error) {
    say('refused', error.message)
    response.writeHead(401).end(error.message)
    return
  }
  say('message', request.headers['webhook-id'], body)
  response.writeHead(200).end()
}

const server = http.createServer((request, response) => {
  const parts = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => receive(Buffer.concat(parts).toString('utf8'), request, response))
})
server.listen(0, process.argv[3], () => say('listening', server.address().port))
readline.createInterface({ input: process.stdin }).on('line', (secret) => {
  webhook = new Webhook(secret)
  say('knows')
})
