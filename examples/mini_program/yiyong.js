// The way from a mini-program to the service. Native JavaScript, nothing to install: copy this file.
//
// What is different in a mini-program: wx.request knows no PATCH, so a change is a POST that says what it is; any status is a success, and
// only a lost answer is a failure; wx.uploadFile takes one file and gives its answer as a text; there are no cookies.

const BASE = 'https://api.example.cn' // one of the 服务器域名 of the mini-program (request, uploadFile and downloadFile)
const TRIES = 4
const PATIENCE = 10 // seconds that a user waits for a busy service before being told

let base = BASE
let renewing = null

/** For another server, such as that of a trial. */
function useBase(address) {
  base = address
}

const held = () => wx.getStorageSync('yiyong-tokens') || null

function keep(tokens) {
  if (tokens) wx.setStorageSync('yiyong-tokens', tokens)
  else wx.removeStorageSync('yiyong-tokens')
}

/** As a promise; a lost answer rejects. */
const wxCall = (name, options) => new Promise((success, fail) => wx[name](Object.assign({}, options, { success, fail })))
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000))
const newKey = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`
const headerOf = (answer, name) => {
  const found = Object.keys(answer.header || {}).find((key) => key.toLowerCase() === name.toLowerCase())
  return found === undefined ? '' : answer.header[found]
}

/** A refusal: `code` for programs, `message` for people, `faults` with the pointer of each field. */
function refusal(answer) {
  const problem = answer.data && answer.data.code ? answer.data : { code: 'internal', title: `HTTP ${answer.statusCode}` }
  const error = new Error(problem.detail || problem.title)
  const wait = parseInt(headerOf(answer, 'Retry-After'), 10)
  return Object.assign(error, {
    code: problem.code,
    status: answer.statusCode,
    faults: problem.errors || [],
    requestId: problem.request_id,
    retryAfter: isNaN(wait) ? null : wait,
  })
}

/** Sends until there is an answer. What changes something has a key, the same for every try, so that nothing is done twice. */
async function insist(send, { open = false, key = newKey() } = {}) {
  let renewed = false
  for (let tried = 1; ; tried++) {
    const header = { 'Accept-Language': 'zh-CN', 'Idempotency-Key': key }
    const token = open ? null : (held() || {}).access_token
    if (token) header.Authorization = `Bearer ${token}`
    let answer
    try {
      answer = await send(header)
    } catch (lost) {
      // What works once, such as a code of wx.login, is not sent again.
      if (open || tried >= TRIES) throw Object.assign(new Error('网络不通，请稍后再试'), { code: 'offline', cause: lost })
      await pause(0.2 * tried)
      continue
    }
    if (answer.statusCode < 300) return answer
    if (answer.statusCode === 401 && token && !renewed) {
      renewed = true
      if ((held() || {}).access_token === token) await renew()
      continue
    }
    const refused = refusal(answer)
    const busy = refused.status === 429 || refused.status === 503
    if (!busy || refused.retryAfter === null || refused.retryAfter > PATIENCE || tried >= TRIES) throw refused
    await pause(refused.retryAfter)
  }
}

/** One request of the contract. `path` begins behind /api/v1; of a change `etag` says which version it is of. */
async function request(method, path, data, { etag, open, key } = {}) {
  const answer = await insist(
    (header) => {
      if (etag) header['If-Match'] = etag
      if (method === 'PATCH') header['X-HTTP-Method-Override'] = 'PATCH'
      if (data !== undefined && method !== 'GET') header['Content-Type'] = 'application/json'
      return wxCall('request', { url: `${base}/api/v1${path}`, method: method === 'PATCH' ? 'POST' : method, data, header })
    },
    { open, key },
  )
  return { data: answer.data, etag: headerOf(answer, 'ETag') }
}

/** A refresh token works once, so whoever needs a new token waits for the same. When it has ended, WeChat still knows who this is. */
function renew() {
  if (!renewing) {
    const { refresh_token } = held()
    renewing = request('POST', '/auth/refresh', { refresh_token }, { open: true })
      .then(({ data }) => keep(data))
      .catch(async (refused) => {
        if (refused.status !== 401) throw refused
        keep(null)
        const { ticket } = await login()
        if (ticket) throw refused
      })
      .then(
        () => (renewing = null),
        (error) => {
          renewing = null
          throw error
        },
      )
  }
  return renewing
}

/** Signs in. Whose WeChat account is nobody's yet gets a ticket for `bind`, good for ten minutes. */
async function login() {
  const { code } = await wxCall('login', {})
  const { data } = await request('POST', '/auth/wechat/login', { code }, { open: true })
  if (data.binding_required) return { ticket: data.binding_ticket }
  keep(data)
  return { ticket: null }
}

/** `proof` is { phone_code } of a button with open-type="getPhoneNumber", or { binding_code } from the office. */
async function bind(ticket, proof) {
  const { data } = await request('POST', '/auth/wechat/bind', Object.assign({ binding_ticket: ticket }, proof), { open: true })
  keep(data)
}

async function logout() {
  await request('POST', '/auth/logout')
  keep(null)
}

/** Adds photos to a record, one after the other: one file a call. */
async function attach(resource, recordId, filePaths, caption) {
  const added = []
  for (const filePath of filePaths) {
    const formData = Object.assign({ resource, record_id: recordId }, caption ? { caption } : {})
    const answer = await insist(async (header) => {
      const sent = await wxCall('uploadFile', { url: `${base}/api/v1/attachments`, filePath, name: 'file', formData, header })
      let data = null
      try {
        data = JSON.parse(sent.data)
      } catch (page) {
        // A proxy's page: `refusal` says what there is to say.
      }
      return Object.assign({}, sent, { data })
    })
    added.push(answer.data)
  }
  return added
}

/** For the `src` of an image: a link of an attachment needs no token, for about ten minutes. */
const picture = (link) => base + link

module.exports = { useBase, login, bind, logout, request, attach, picture }
