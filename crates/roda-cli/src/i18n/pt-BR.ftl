# Português do Brasil. Os dois catálogos têm as mesmas chaves, na mesma ordem.

# Rótulos
label-error = erro:
label-hint = dica:
label-usage = Uso:
label-commands = Comandos
label-arguments = Argumentos
label-options = Opções
value-options = OPÇÕES
value-command = COMANDO
value-dir = DIR
value-lang = IDIOMA
value-iface = INTERFACE
value-network = REDE
value-nick = APELIDO
value-name = NOME
value-duration = DURAÇÃO
value-token = CONVITE
value-member = MEMBRO
value-topic = TÓPICO
value-text = TEXTO
value-time = MOMENTO
value-regex = REGEX
value-room = SALA
value-group-port = GRUPO:PORTA
value-file = ARQUIVO
value-shell = SHELL
value-bytes = BYTES
value-locks = TRAVAS
value-lock = TRAVA
value-cmd = CMD

# Ajuda
help = Dá às máquinas de uma rede um registro em grupo, cifrado e confiável, sem servidor
help-after =
    Durações: 500ms, 10s, 5m, 2h, 7d. “roda help exit-codes” explica os códigos de saída.
    Experimente: roda demo
help-common-help = Mostra a ajuda
help-common-version = Mostra a versão
help-common-home = Diretório do nó (ou RODA_HOME; padrão: o lugar do sistema para dados)
help-common-no-spawn = Falha em vez de iniciar um nó em segundo plano
help-common-json = Imprime um objeto JSON por linha; os erros também são JSON
help-common-lang = Idioma dos textos: en ou pt-BR (padrão: o do ambiente)
help-common-verbose = Escreve mais no registro do nó; repita para ainda mais
help-common-iface = Interface de rede, por nome ou endereço; repita para várias; fica lembrada
help-common-lock-timing = Quanto as travas sobrevivem a uma máquina perdida: 3, 6 ou 15 s (“wired”, “default”, “wifi”); fica lembrado
help-common-nick = Nome deste nó para as pessoas; fica lembrado
help-create = Cria um grupo e a identidade desta máquina
help-create-name = Nome do grupo (padrão: roda)
help-invite = Imprime um convite com que outros entram
help-invite-uses = Quantos podem entrar com ele (padrão: 1)
help-invite-expires = Por quanto tempo vale (padrão: 1d)
help-join = Entra em um grupo
help-join-token = O convite; “-” lê da entrada padrão; sem ele, RODA_TOKEN ou uma pergunta
help-join-timeout = Quanto esperar por um membro (padrão: 30s)
help-members = Lista os membros: quem está online, quem está atrasado
help-remove = Remove um membro e troca a chave do grupo
help-remove-member = O apelido, ou ao menos 4 dígitos do nó
help-leave = Sai do grupo de vez
help-up = Executa o nó
help-up-detach = Em segundo plano
help-down = Para o nó de forma limpa
help-status = Mostra como está o nó
help-say = Acrescenta mensagens a um tópico; volta quando estão duráveis aqui
help-say-topic = O tópico; ele começa com a primeira mensagem
help-say-text = A mensagem; “-” toma cada linha da entrada padrão como uma
help-say-fenced = Sob a trava sob a qual este comando roda (RODA_LOCK, RODA_FENCE): recusado se um detentor posterior já escreveu
help-say-fence = O número da posse (fence), em vez de RODA_FENCE
help-say-lock = A trava, em vez de RODA_LOCK
help-history = Lê um tópico
help-history-topic = O tópico
help-history-lines = Só as últimas N mensagens
help-history-follow = Continua com o que chegar
help-history-since = Só daí em diante: 2026-05-04T03:02:01Z, ou há: 10m, 2h, 3d
help-history-grep = Só mensagens que combinam com esta expressão regular
help-topics = Lista os tópicos
help-chat = Conversa: as linhas digitadas são enviadas, as dos outros aparecem; acaba com a entrada
help-chat-room = O tópico da conversa (padrão: chat)
help-chat-plain-multicast = Conversa com um programa de aula em datagramas simples: sem cifra (padrão: 224.1.1.1:5007)
help-chat-iface = Interface para os datagramas simples
help-mirror = Mantém um arquivo que é réplica de um tópico, ou lista esses arquivos
help-mirror-topic = O tópico
help-mirror-file = O arquivo; os mesmos bytes em todos os membros
help-mirror-stop = Deixa de mantê-lo; o arquivo fica
help-mirror-list = Lista os espelhos (como sem argumentos)
help-lock = Executa um comando enquanto este nó tem uma ou mais travas; ninguém mais no grupo as tem
help-lock-names = As travas, separadas por vírgula; todas de uma vez, nunca um impasse
help-lock-priority = A urgência, de 0 a 9; a espera a aumenta aos poucos (padrão: 0)
help-lock-wait = Espera no máximo isto; sai com 75 se não bastou
help-lock-try = Não espera: sai com 75 se a trava não estiver livre agora
help-lock-permits = Divide com outros que dizem o mesmo: no máximo N de cada vez
help-lock-shared = Divide com quantos outros disserem o mesmo (leitores)
help-lock-fresh = Antes recebe o que já se escreveu sob a trava neste tópico; repetível
help-lock-command = O comando e seus argumentos, depois de “--”
help-lock-examples =
    O comando recebe RODA_LOCK, RODA_FENCE, RODA_LEASE_MS e RODA_LOST_FD (um descritor que fica legível
    quando a trava corre risco). Ele e tudo o que iniciou terminam antes que outro entre; o que ele
    deixa em segundo plano termina com ele. Se a trava se perde: saída 76.

    Exemplos
      roda lock impressora -- lp relatório.pdf
      roda lock --try noturno -- ./backup.sh
      roda lock --wait 30s --priority 5 banco,cache -- ./migrar
      roda lock --permits 3 licença -- render cena.blend
      roda lock release --force impressora
help-lock-release = Faz parar quem tem uma trava e espera até que ela esteja livre
help-lock-release-force = Que é isso mesmo: o que roda sob a trava é parado, em qualquer máquina
help-lock-release-name = A trava
help-locks = Mostra quem tem cada trava e quem espera por ela
help-locks-names = Só estas travas (padrão: todas)
help-locks-all = Também as que a própria Roda usa para filas e trabalhadores
help-locks-watch = Mostra de novo a cada meio segundo
help-locks-examples =
    CERCA cresce a cada concessão. PRIORIDADE: a pedida, e a que vale depois da espera.
    ANTES, NO MÁXIMO: quantos outros ainda podem passar na frente, seja qual for a prioridade deles.

    Exemplos
      roda locks
      roda locks --watch impressora
      roda locks --json
help-backup = Grava tudo deste nó em um só arquivo, com ele no ar ou parado
help-backup-file = O arquivo; nele vão as chaves do nó, então guarde-o como o diretório do nó
help-backup-force = Substitui o arquivo, se já existir
help-backup-examples =
    O arquivo tem a identidade e suas chaves, o registro, as tarefas, os contatos, os espelhos e
    os ajustes de “roda up”. Quem o lê pode ler tudo e falar como este nó. Ele é conferido antes
    de receber o nome; um anterior é substituído por inteiro ou fica como está.

    Exemplos
      roda backup /media/pendrive/ana.roda
      roda backup --force --json ~/backups/ana.roda
help-restore = Traz um nó de volta a partir de um backup, em um diretório que ainda não tem nenhum
help-restore-file = O que “roda backup” gravou
help-restore-examples =
    O nó volta a ser quem era e daí em diante escreve um registro próprio; o que tinha escrito
    depois do backup volta pelos outros membros. O original não pode mais estar no ar.

    Exemplos
      roda restore /media/pendrive/ana.roda
      roda --home /srv/roda restore ana.roda
help-verify = Confere o banco de dados, todos os registros e todas as assinaturas
help-completions = Imprime um script de completação
help-completions-shell = bash, elvish, fish, powershell ou zsh
help-demo = Mostra tudo: três nós nesta máquina, com perdas, uma queda e a recuperação
help-demo-fast = Sem pausas para leitura
help-bench = Mede esta instalação
help-bench-multicast = Mede taxa de mensagens e latência, ao lado de multicast simples e NATS
help-bench-multicast-receivers = Números de receptores, com vírgulas (padrão: 1,4)
help-bench-multicast-size = Bytes de uma mensagem, de 16 a 1100 (padrão: 100)
help-bench-multicast-loss = Fração dos datagramas que os receptores descartam, de 0 a 1 (padrão: 0)
help-bench-multicast-seconds = Segundos a toda velocidade (padrão: 3)
help-bench-multicast-runs = Rodadas, das quais se mostra a mediana (padrão: 3)
help-bench-multicast-iface = Interface (padrão: lo)
help-bench-jobs = Mede quantas tarefas um nó recebe e termina, ao lado do seu disco
help-bench-jobs-jobs = Tarefas que um trabalhador termina (padrão: 20000)
help-bench-jobs-backlog = Em vez disso, comparar uma fila com tantas tarefas à espera com uma curta
help-bench-jobs-seconds = Segundos de envio (padrão: 3)
help-bench-jobs-runs = Rodadas, das quais se mostra a mediana (padrão: 3)
help-bench-jobs-iface = Interface (padrão: lo)
help-bench-lock = Mede com que rapidez uma trava passa de mão em mão
help-bench-lock-contenders = Números de concorrentes, com vírgulas (padrão: 5,20)
help-bench-lock-nodes = Nós em que estão (padrão: um para cada)
help-bench-lock-voters = Só começa quando tantos votam (padrão: quantos o grupo escolher)
help-bench-lock-seconds = Segundos de disputa (padrão: 5)
help-bench-lock-runs = Rodadas, das quais se mostra a mediana (padrão: 3)
help-bench-lock-iface = Interface (padrão: lo)
help-help = Mostra a ajuda de um comando, ou “exit-codes”
help-help-about = O comando

# Códigos de saída
exit-done = feito
exit-failed = falhou
exit-usage = uso incorreto
exit-busy = não obtido a tempo
exit-lost = trava ou tarefa perdida durante a execução; o filho foi parado
exit-not-started = a Roda falhou antes de o filho começar
exit-not-executable = filho não executável
exit-not-found = filho não encontrado
exit-signal = filho ou Roda terminado pelo sinal n; senão, o código do próprio filho

# Resultados
create-done = Grupo “{ $group }” criado. Este nó é { $nick } ({ $node }).
create-next = Convide outros com: roda invite
invite-note =
    { $uses ->
        [one] Para uma máquina, até { $expires }. Nela, digite: roda join -
       *[other] Para { $uses } máquinas, até { $expires }. Nelas, digite: roda join -
    }
join-waiting = Procurando um membro…
join-prompt = Convite:
join-done =
    { $members ->
        [one] Entrou em “{ $group }” como { $nick } ({ $node }); { $members } membro.
       *[other] Entrou em “{ $group }” como { $nick } ({ $node }); { $members } membros.
    }
presence-here = aqui
presence-online = online
presence-suspect = em silêncio
presence-down = fora
members-level = em dia
members-behind =
    { $count ->
        [one] { $count } entrada atrás
       *[other] { $count } entradas atrás
    }
remove-done = { $node } removido; o grupo tem uma chave nova.
leave-done = Saiu de “{ $group }”.
up-ready = Pronto: “{ $group }”, processo { $pid }.
down-done = Processo { $pid } parado.
down-idle = Nenhum nó estava em execução.
status-group = Grupo
status-node = Nó
status-members = Membros
status-members-value = { $online } de { $members } online
status-carrier = Transporte
carrier-none = nenhum ainda: nenhum outro membro é ouvido
carrier-multicast = multicast
carrier-unicast = unicast: o multicast não chega
carrier-mixed = misto: o multicast não chega de todos os membros
status-interfaces = Interfaces
status-groups = Multicast
status-port = Porta
status-entries = Entradas
status-stable = Estável até
status-epoch = Chave do grupo
status-process = Processo
status-home = Diretório
status-socket = Soquete
status-socket-value = { $path } (o caminho do diretório é longo demais para um soquete)
status-counters = Contado
status-rejected = Recusado
status-problem = Problema:
message-late = (atrasada)
say-done =
    { $count ->
        [one] { $count } mensagem guardada.
       *[other] { $count } mensagens guardadas.
    }
say-stored =
    { $count ->
        [one] { $count } mensagem foi guardada antes do erro.
       *[other] { $count } mensagens foram guardadas antes do erro.
    }
chat-welcome = Conversando em “{ $room }”. Ctrl-D encerra.
plain-warning =
    ATENÇÃO: multicast simples para { $group }. Nada é cifrado, assinado, reparado ou guardado;
    qualquer um nesta rede pode ler e forjar cada linha.
mirror-done = { $path } agora é uma réplica de “{ $topic }”.
mirror-stopped = { $path } deixou de ser mantido; o arquivo fica.
mirror-line = { $topic }  { $path }  mensagens: { $messages }  esperando: { $waiting }
mirror-fault = { "  " }problema: { $reason }
lock-waiting = Esperando por { $locks }… Ctrl-C desiste; “roda locks” mostra a fila.
lock-catching-up = Recebendo o que quem teve a trava antes escreveu…
lock-left-behind =
    { $count ->
        [one] O comando deixou { $count } processo para trás; ele está sendo encerrado antes de soltar a trava.
       *[other] O comando deixou { $count } processos para trás; eles estão sendo encerrados antes de soltar a trava.
    }
lock-released = { $lock } está livre.
locks-voters = Votantes: { $voters }; { $reachable } de { $count } ao alcance, { $leader } lidera
locks-none = Ninguém tem nem espera uma trava.
locks-head-lock = TRAVA
locks-head-state = ESTADO
locks-head-node = NÓ
locks-head-since = HÁ
locks-head-fence = CERCA
locks-head-priority = PRIORIDADE
locks-head-bound = ANTES, NO MÁXIMO
locks-inside = tem
locks-next = a seguir
locks-revoked = sendo parado
locks-waiting = espera
locks-shared = dividida
locks-free = livre
backup-done = { $entries ->
    [one] 1 entrada conferida
   *[other] { $entries } entradas conferidas
  }: { $file } ({ $bytes }).
backup-keys = Ele tem as chaves do nó: guarde-o com o mesmo cuidado.
backup-copied = Copiado:
backup-checked = Entradas conferidas:
restore-done = { $nick } ({ $node }) de “{ $group }” está de volta em { $home }, como era em { $made }, com { $entries ->
    [one] 1 entrada
   *[other] { $entries } entradas
  }.
restore-founder = Este nó fundou o grupo. Se nenhum outro membro votava sobre travas, não há mais travas, e nenhuma tarefa começa.
restore-next = Verifique que o original não está no ar e inicie com: roda up
verify-well = Está tudo bem: { $entries } entradas em { $batches } lotes assinados de { $authors } registros; falhas: { $faults }.
verify-faults = Falhas: { $faults }. Conferidos: { $entries } entradas em { $batches } lotes assinados de { $authors } registros.

# Demonstração
demo-group = 1. Três nós nesta máquina fundam um grupo, pela interface local, sem configurar nada.
demo-speak = 2. Todos falam. Cada nó descarta { $loss } % de todos os datagramas que chegam.
demo-hello-1 = Oi, roda!
demo-hello-2 = Oi, ana! Não tem servidor aqui?
demo-hello-3 = Nenhum. O servidor somos nós.
demo-identical = três históricos idênticos, byte a byte: { $messages } mensagens, { $bytes } bytes de JSON
demo-mirror = 3. Cada um mantém um arquivo do tópico.
demo-mirrors = três arquivos idênticos, byte a byte: { $messages } mensagens, { $bytes } bytes
demo-kill = 4. kill -9 em { $node }. Os outros continuam a conversa.
demo-heal = 5. { $node } volta e recebe o que perdeu.
demo-healed = recuperado: três históricos e três arquivos idênticos, byte a byte: { $messages } mensagens, { $bytes } bytes
demo-lock = 6. Uma trava. { $node } a segura, outro nó espera. kill -9 em quem a segura.
demo-turn = o próximo entrou, { $millis } ms depois do kill, com uma cerca maior: { $before } → { $after }
demo-job = 7. Uma tarefa. { $node } a executa e salva cada passo. kill -9 no seu trabalhador.
demo-resumed = { $node } continua depois do passo { $step } de { $steps }, { $millis } ms depois do kill; a tarefa está feita, uma vez
demo-counters = Reparos enviados: { $repairs }. Pedidos de reparo (NACKs): { $nacks }.
demo-yourself = Agora você, em duas máquinas de uma rede:
demo-commands =
    primeira  $ roda create
    primeira  $ roda invite
    segunda   $ roda join -          # e cole o convite
    as duas   $ roda chat
    uma       $ roda say registro "disco trocado"
    outra     $ roda history registro --follow
    as duas   $ roda lock impressora -- sh -c 'echo minha vez; sleep 3'
    uma       $ roda push render clipe-1
    outra     $ roda work render -- ./render.sh
    qualquer  $ roda status

# Medição
bench-no-nats = nats-server não está instalado; NATS fica de fora.
bench-loss-note = A perda não atinge o NATS: seu TCP corre aqui sobre uma rede que nada perde.
bench-system = sistema
bench-receivers = receptores
bench-rate = msg/s
bench-goodput = MB/s
bench-lost = perdido
bench-p50 = p50 µs
bench-p99 = p99 µs
bench-cpu-send = µs/envio
bench-cpu-receive = µs/receb.
bench-repairs = reparos
bench-nacks = NACKs
bench-contenders = disputam
bench-handoffs = passagens/s
bench-fairness = máx/mín
bench-alone = sozinho µs
bench-api-acquire = API obter µs
bench-api-release = API soltar µs
bench-voters = votantes
bench-push = envios/s
bench-push-many = envios/s (64)
bench-sqlite = só SQLite/s
bench-sqlite-many = só SQLite (64)
bench-work = feitas/s
bench-waiting = à espera
bench-list = listas/s
bench-resident = MB
bench-fdatasync = fdatasync/s
bench-ring = anel/s
bench-ring-p50 = anel µs

# Erros: uso
error-usage-unknown-argument = aqui não existe a opção ou o argumento “{ $argument }”
    .hint = “--help” depois do comando lista o que ele aceita; ponha “--” antes de um texto que começa com “-”
error-usage-unknown-command = não existe o comando “{ $command }”
    .hint = “roda help” lista os comandos
error-usage-similar-command = não existe o comando “{ $command }”
    .hint = você quis dizer “{ $similar }”?
error-usage-missing-argument = falta algo: { $argument }
    .hint = “--help” depois do comando mostra o que ele pede
error-usage-missing-command = falta um comando
    .hint = “roda help” lista os comandos
error-usage-conflict = “{ $argument }” não combina com “{ $other }”
    .hint = deixe um dos dois de fora
error-usage-missing-value = “{ $argument }” precisa de um valor
    .hint = “--help” depois do comando mostra qual
error-usage-invalid-value = “{ $value }” não serve para “{ $argument }”
    .hint = “--help” depois do comando mostra os valores possíveis
error-usage-utf8 = um argumento não é UTF-8 válido
    .hint = escreva nomes e textos em UTF-8
error-usage-other = a linha de comando não faz sentido: { $reason }
    .hint = “roda help” mostra como se faz
error-usage-duration = “{ $value }” não é uma duração
    .hint = escreva um número e uma unidade: 500ms, 10s, 5m, 2h ou 7d
error-usage-expires = um convite que vale por { $value } não deixa ninguém entrar
    .hint = diga em quanto tempo se pode entrar: --expires 10m, ou omita para um dia
error-usage-fenced = este comando não roda sob nenhuma trava
    .hint = execute-o com “roda lock TRAVA -- …”, ou diga a posse: --lock TRAVA --fence N
error-usage-fenced-lock = este comando roda sob várias travas: { $locks }
    .hint = diga sob qual delas escrever: --lock TRAVA
error-usage-since = “{ $value }” não é um momento
    .hint = escreva 2026-05-04T03:02:01Z, ou há quanto tempo: 10m, 2h, 3d
error-usage-regex = “{ $pattern }” não é uma expressão regular: { $reason }
    .hint = ponha “\” antes de caracteres com significado especial, como em “\(”
error-usage-group = “{ $value }” não é um grupo multicast com porta
    .hint = escreva como 224.1.1.1:5007
error-usage-empty-name = o grupo precisa de um nome
    .hint = omita-o para chamar o grupo de “roda”
error-usage-no-token = falta o convite
    .hint = passe-o como argumento, em RODA_TOKEN, ou com “-” na entrada padrão; um membro obtém um com “roda invite”
error-usage-lock-command = “{ $argument }” está onde só cabem travas e opções
    .hint = o comando vem depois de “--”: roda lock TRAVAS -- CMD
error-usage-lock-force = para fazer parar quem tem “{ $lock }”, confirme com --force
    .hint = “roda locks” mostra quem é; depois: roda lock release --force { $lock }
error-usage-no-spawn = este comando inicia um nó, e --no-spawn o proíbe
    .hint = tire o --no-spawn

# Erros: diretório e processo
error-no-home = não há diretório para o nó
    .hint = defina HOME, ou indique um diretório com --home
error-no-group = { $home } ainda não tem grupo
    .hint = crie um com “roda create”, ou entre em um com “roda join CONVITE”
error-already-in-group = { $home } já pertence a um grupo
    .hint = escolha outro diretório com --home, ou saia antes do grupo com “roda leave”
error-already-running = outro nó da Roda já está em execução em { $home }
    .hint = pare-o com “roda down”; se não houver nenhum, um programa que usa a biblioteca ocupa este diretório
error-not-running = nenhum nó está em execução em { $home }
    .hint = inicie um com “roda up --detach”, ou tire o --no-spawn
error-restart-needed = o nó em { $home } já está em execução, com outra configuração
    .hint = pare-o com “roda down” e inicie-o com a configuração nova
error-socket-directory = { $path } é de outra pessoa ou está aberto a outros
    .hint = apague-o, ou aponte XDG_RUNTIME_DIR para um diretório privado, ou escolha um --home mais curto
error-config = { $path } não pode ser entendido: { $reason }
    .hint = corrija o arquivo, ou apague-o para voltar aos padrões
error-daemon-start = o nó não pôde ser iniciado: { $reason }
    .hint = execute “roda up” para ver mais
error-leftovers-alive = processos deixados por uma execução anterior deste nó não podem ser encerrados: { $processes }
    .hint = talvez esperem por um disco ou sistema de arquivos de rede; cuide deles e inicie o nó de novo
error-daemon-died = o nó terminou enquanto iniciava
    .hint = as últimas palavras dele estão em { $home }/daemon.log
error-daemon-inside-lock = nenhum nó roda em { $home }, e um que inicia sob uma trava seria encerrado com ela
    .hint = inicie-o antes, fora do “roda lock”: roda up --detach
error-daemon-lost = a conexão com o nó se perdeu ({ $reason })
    .hint = o nó pode ter sido parado; tente de novo, ou veja daemon.log no diretório dele
error-daemon-answer = o nó respondeu algo inesperado: { $reason }
    .hint = depois de uma atualização, reinicie-o: “roda down”, e tente de novo
error-runtime = o programa não pôde começar: { $reason }
    .hint = o sistema pode estar sem memória ou sem threads
error-file = { $path }: { $reason }
    .hint = confira se o caminho existe e é do tipo certo
error-disk-full = o disco está cheio
    .hint = o que foi confirmado está a salvo; libere espaço e tente de novo
error-read-only = não é possível escrever em { $path }
    .hint = confira o dono, as permissões e como o disco está montado, ou escolha outro --home
error-output = não é possível escrever a saída: { $reason }
    .hint = confira para onde vai a saída padrão
error-input = não é possível ler a entrada padrão: { $reason }
    .hint = confira de onde vem a entrada padrão

# Erros: grupo
error-token-none = isto não é um convite
    .hint = um convite começa com “roda1”; um membro obtém um com “roda invite”
error-token-damaged = o convite está danificado ou cortado
    .hint = copie a linha inteira, ou peça um novo: “roda invite”
error-token-newer = o convite foi feito por uma versão mais nova da Roda
    .hint = atualize a Roda nesta máquina
error-token-expired = o convite venceu
    .hint = peça um novo a um membro: “roda invite --expires 1d”; se ele é recente, compare os relógios
error-refused-used-up = o convite já foi usado até o limite
    .hint = peça um novo a um membro: “roda invite --uses N”
error-refused-unknown-invite = o grupo não conhece este convite
    .hint = peça um novo a um membro que esteja online: “roda invite”
error-refused-other-group = o membro que respondeu pertence a outro grupo
    .hint = peça um convite novo: “roda invite”
error-refused-busy = o membro que respondeu não pôde admitir este nó agora
    .hint = tente de novo daqui a pouco
error-join-timeout = nenhum membro respondeu em { $waited }
    .hint = confira se um membro está online nesta rede (“roda status” nele) e se nenhum firewall bloqueia UDP e TCP; escolha a interface com --iface
error-unknown-member = nenhum membro se chama “{ $member }”
    .hint = “roda members” os lista; um apelido, ou ao menos 4 dígitos do nó
error-ambiguous-member = “{ $member }” serve para vários membros
    .hint = dê mais dígitos do nó, como “roda members --json” os mostra
error-remove-self = um nó não pode remover a si mesmo
    .hint = para sair do grupo, use “roda leave”
error-not-member = este nó não é mais membro do grupo
    .hint = alguém o removeu; entre de novo com um convite novo e outro --home
error-group-full = o grupo está cheio
    .hint = remova membros que se foram: “roda remove MEMBRO”
error-unknown-interface = não há interface utilizável “{ $interface }”
    .hint = “ip address” lista nomes e endereços
error-port-in-use = a porta está em uso ({ $reason })
    .hint = outro programa a ocupa sem compartilhar; pare esse programa
error-network = rede: { $reason }
    .hint = confira a interface e o endereço dela; escolha uma com --iface

# Erros: tópicos e mensagens
error-topic-empty = o nome de um tópico não pode ser vazio
    .hint = use letras, dígitos, “-”, “_” e “.”
error-topic-too-long = o nome de um tópico tem no máximo 128 bytes; este tem { $bytes }
    .hint = escolha um nome mais curto
error-topic-bad-character = o nome de um tópico não pode conter { $character }
    .hint = use letras, dígitos, “-”, “_” e “.”
error-topic-bad-start = o nome de um tópico não pode começar com { $character }
    .hint = comece com uma letra ou um dígito
error-unknown-topic = o tópico “{ $topic }” não tem mensagens
    .hint = “roda topics” lista os que têm; “roda say { $topic } TEXTO” começa este
error-empty-text = uma mensagem não pode ser vazia
    .hint = “roda say TÓPICO TEXTO”, ou “roda say TÓPICO -” para ler linhas da entrada padrão
error-old-fence = a trava já passou adiante: um detentor com o número { $newest } escreveu neste tópico, então o número { $fence } não pode mais
    .hint = nada foi guardado; pare o que roda com o número antigo e pegue a trava de novo
error-fence-not-held = este nó não detém a trava “{ $lock }” com o número { $fence }
    .hint = nada foi guardado; a trava foi perdida ou solta, pegue-a de novo: “roda lock { $lock } -- …”
error-too-long = uma mensagem tem no máximo { $most } bytes; esta tem { $bytes }
    .hint = divida-a em várias mensagens
error-line-too-long = a linha { $line } tem mais de { $most } bytes; as anteriores estão guardadas ({ $stored })
    .hint = divida a linha e continue a partir dela
error-line-not-utf8 = a linha { $line } não é UTF-8 válido no byte { $byte }; as anteriores estão guardadas ({ $stored })
    .hint = converta o texto, por exemplo com “iconv -f latin1 -t utf-8”, e continue a partir daí
error-plain-too-long = uma mensagem simples tem no máximo { $most } bytes, esta tem { $bytes }; ela não foi enviada
    .hint = o outro programa a cortaria; envie-a em partes
error-not-a-mirror = { $path } existe e não é um espelho deste tópico
    .hint = escolha um caminho em que ainda não há nada; o arquivo não foi tocado
error-unknown-mirror = { $path } não é um espelho
    .hint = “roda mirror --list” os mostra

# Erros: travas
error-lock-name-empty = o nome de uma trava não pode ser vazio
    .hint = use letras, dígitos, “-”, “_”, “.”, “:” e “/”; várias travas se separam por vírgula
error-lock-name-too-long = o nome de uma trava tem no máximo 128 bytes; este tem { $bytes }
    .hint = escolha um nome mais curto
error-lock-name-bad-character = o nome de uma trava não pode conter { $character }
    .hint = use letras, dígitos, “-”, “_”, “.”, “:” e “/”; várias travas se separam por vírgula
error-lock-name-bad-start = o nome de uma trava não pode começar com { $character }
    .hint = comece com uma letra ou um dígito
error-lock-name-twice = a trava “{ $lock }” aparece duas vezes
    .hint = cite cada trava uma só vez
error-lock-name-reserved = “{ $lock }” é um nome da própria Roda, como todos os que começam com “roda/”
    .hint = escolha outro nome
error-lock-name-too-many = dá para ter no máximo { $most } travas de uma vez, não { $count }
    .hint = uma trava de sentido mais amplo talvez substitua várias
error-lock-busy = outros têm { $locks }
    .hint = “roda locks” mostra quem; --wait D espera mais, e sem --wait nem --try espera-se a vez
error-lock-no-quorum = { $reachable } de { $voters } votantes ao alcance; são precisos { $needed }
    .hint = até lá ninguém recebe uma trava; “roda members” mostra quem falta, --wait D espera por eles
error-lock-no-leader = nenhum votante líder responde
    .hint = talvez estejam escolhendo um, o que leva um ou dois segundos; tente de novo, ou veja “roda members”
error-lock-held-by-parent = quem tem a trava “{ $lock }” é o seu próprio processo pai
    .hint = um comando que roda sob uma trava já a tem; tire o “roda lock” de dentro
error-lock-full = há travas ou filas demais
    .hint = “roda locks” as mostra; tente de novo quando houver menos
error-lock-not-held = ninguém tem a trava “{ $lock }”
    .hint = “roda locks” mostra quais estão ocupadas
error-lock-lost = a trava se perdeu antes que o comando pudesse começar
    .hint = tente de novo
error-lock-lost-not-renewed = a trava está se perdendo: poucos votantes respondem. O comando está sendo parado
    .hint = “roda locks” e “roda members” mostram quem falta
error-lock-lost-session-ended = a trava se perdeu: o grupo deu este nó por perdido. O comando está sendo parado
    .hint = esta máquina dormiu ou ficou isolada? “roda status” mostra como ela está agora
error-lock-lost-revoked = um operador soltou a trava à força. O comando está sendo parado
    .hint = descubra quem e por quê antes de começar de novo
error-lock-lost-stopped = o nó está parando, e a trava acaba com ele. O comando está sendo parado
    .hint = inicie o nó com “roda up --detach” e tente de novo
error-lock-lost-node = a trava está se perdendo: o nó não responde. O comando está sendo parado
    .hint = veja daemon.log no diretório do nó; “roda status” mostra se ele está em execução
error-unknown-hold = não há a posse “{ $hold }”, ou ela já acabou
    .hint = docs/control-api.md mostra como uma começa
error-command-not-found = não existe o comando “{ $command }”
    .hint = confira o nome e a variável PATH
error-command-not-executable = “{ $path }” não é um programa que se possa executar
    .hint = confira as permissões (chmod +x), ou ponha o interpretador antes dele

# Erros: banco de dados
error-newer-database = o banco de dados foi escrito por uma versão mais nova da Roda ({ $found }; esta conhece { $known })
    .hint = atualize a Roda; nada foi alterado
error-damaged-database = o banco de dados está danificado: { $reason }
    .hint = “roda verify” diz mais; copie o diretório antes de tentar qualquer coisa; os outros membros ainda têm o registro
error-backup-exists = { $path } já existe
    .hint = escolha outro nome ou substitua com --force
error-backup-in-home = { $path } fica no diretório do próprio nó e se perderia com ele
    .hint = grave em outro disco ou outra máquina
error-damaged-backup = { $path } não é um backup que se possa restaurar: { $reason }
    .hint = nada foi alterado; use um arquivo gravado por “roda backup” e copie-o de novo por inteiro
error-restore-home-taken = { $home } não está vazio
    .hint = escolha um diretório que ainda não exista: roda --home DIR restore ARQUIVO
error-original-alive = o nó do qual este é um backup ainda está no ar, em { $address }
    .hint = pare-o de vez e inicie este; para ter mais um membro, use “roda invite”
error-store = o banco de dados falhou: { $reason }
    .hint = o que foi confirmado está a salvo; “roda verify” confere
error-stopped = o nó está parando
    .hint = tente de novo daqui a pouco

# Erros: pedidos de programas
error-not-found = a API de controle não tem esse caminho
    .hint = docs/control-api.md os lista
error-request-body = o corpo do pedido está errado: { $reason }
    .hint = docs/control-api.md o mostra
error-request-query = a consulta do pedido está errada: { $reason }
    .hint = docs/control-api.md a mostra
error-request-child = o processo não pode ser registrado: { $reason }
    .hint = docs/control-api.md mostra o que é preciso
error-request-path = { $path } não é um caminho absoluto
    .hint = escreva-o a partir de “/”

# Erros: demonstração e medição
error-demo-command = “roda { $command }” falhou: { $reason }
    .hint = tente o mesmo à mão com --home
error-demo-different = os nós não ficaram idênticos em { $seconds } s
    .hint = em uma máquina muito ocupada, tente de novo; senão, é um defeito que vale relatar
error-bench-worker = um processo da medição falhou: { $reason }
    .hint = a mensagem dele está acima
error-bench-nats = nats-server não iniciou
    .hint = execute-o à mão para ver por quê
error-bench-voters = o grupo chegou a { $found } votantes
    .hint = até dois nós têm um, até seis têm três, mais têm cinco
error-bench-overlap = dois estiveram na trava ao mesmo tempo
    .hint = isso nunca pode acontecer: por favor, relate

# Erros: o resto
error-other = { $reason }
    .hint = “roda status” e daemon.log no diretório podem dizer mais
